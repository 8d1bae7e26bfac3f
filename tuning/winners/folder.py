"""The folder of a model as MLflow keeps it: networks, the code that loads them, how to ask, card and figures."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import pamfn
from pamfn.data.shards import read_table_of_contents
from pamfn.phases.saved import DESCRIPTION, WEIGHTS, SavedNetworks, load_networks
from pamfn.serving.tasks import FILE as TASKS
from pamfn.serving.tasks import save_tasks
from tuning.study import Study
from tuning.tracking.models import CARD, REGISTER
from tuning.winners import loader
from tuning.winners.card import Winner, model_card
from tuning.winners.loader import NETWORKS
from tuning.winners.names import registered_name
from tuning.winners.pictures import pictures, write_pictures

FOLDER, LOADER = "model", "pamfn_pyfunc"
PARTS = (WEIGHTS, DESCRIPTION, TASKS)
PACKAGES = ("torch", "numpy", "scipy", "pyarrow", "safetensors", "pandas")
PACKAGES_OF_FORMULAS = ("scikit-learn", "threadpoolctl")


def winner_folder(study: Study, results: Mapping[str, Any], row: Mapping[str, Any], networks: Path) -> Path:
    """Returns the folder of a judged configuration's model, made beside its networks unless it is there.

    It is a whole MLflow model but for the ids, which MLflow has yet to give. If the configuration is the best, its
    description names what it is to be registered as: one model for each class that it scores.

    Args:
        study: The study.
        results: What ``final.json`` holds.
        row: The configuration's row in it.
        networks: Folder of its networks.
    """
    folder = networks / FOLDER
    if _is_of(folder, networks):
        return folder
    draft = networks / f".{FOLDER}"
    for left in (draft, folder):
        shutil.rmtree(left, ignore_errors=True)
    save_tasks(networks, study.tasks)
    saved, (_, contents) = load_networks(networks), read_table_of_contents(study.data)
    drawn = pictures(study, saved)
    winner = Winner(study, results, row, saved, contents, {picture.name: picture.shows for picture in drawn})
    names = [registered_name(action) for action in winner.actions] if row["rank"] == 1 else []
    _save(draft, saved, names, study.tasks[0].action)
    (draft / NETWORKS).mkdir()
    for name in PARTS:
        _place(networks / name, draft / NETWORKS / name)
    (draft / CARD).write_text(model_card(winner), encoding="utf-8")
    write_pictures(draft / "figures", drawn)
    draft.replace(folder)
    return folder


def _is_of(folder: Path, networks: Path) -> bool:
    """Tells whether a folder is the model of these networks as they are."""
    if not (folder / CARD).exists():
        return False
    kept, now = (folder / NETWORKS / WEIGHTS).stat(), (networks / WEIGHTS).stat()
    return (kept.st_size, kept.st_mtime_ns) == (now.st_size, now.st_mtime_ns)


def _save(folder: Path, saved: SavedNetworks, names: Sequence[str], action: str) -> None:
    """Writes MLflow's part of a model: its description, its environment, the code, how to ask."""
    import mlflow.pyfunc

    about = {"widths": dict(saved.widths), "networks": len(saved.names), "model": saved.recipe.model}
    with tempfile.TemporaryDirectory() as staging, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="mlflow")  # of its own code, which nobody here can do anything about
        mlflow.pyfunc.save_model(
            str(folder),
            loader_module=LOADER,
            code_paths=_code(Path(staging)),
            pip_requirements=_requirements(saved),
            signature=_signature(list(saved.widths)),
            input_example=_example(saved, action),
            metadata={**about, **({REGISTER: list(names)} if names else {})},
        )


def _code(staging: Path) -> list[str]:
    """Returns the code that a model needs, copied: the package ``pamfn`` as it is here, and what loads the model."""
    package = staging / "pamfn"
    shutil.copytree(Path(pamfn.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    shutil.copy(loader.__file__, staging / f"{LOADER}.py")
    return [str(package), str(staging / f"{LOADER}.py")]


def _requirements(saved: SavedNetworks) -> list[str]:
    """Returns the packages of this environment that scoring needs, without what their builds add to a version."""
    names = PACKAGES + (PACKAGES_OF_FORMULAS if saved.recipe.of.kind == "closed" else ())
    return [f"mlflow=={metadata.version('mlflow')}", *(f"{n}=={metadata.version(n).partition('+')[0]}" for n in names)]


def _signature(streams: Sequence[str]) -> Any:
    """Returns what a request may hold and what an answer does.

    Streams are lists of segments, each a list of numbers. MLflow's type for that, an array of arrays of doubles,
    refuses whole numbers and says nothing of widths, so they are of any type here, and the model itself checks them.
    """
    from mlflow.models.signature import ModelSignature
    from mlflow.types import DataType
    from mlflow.types.schema import AnyType, ColSpec, Map, ParamSchema, ParamSpec, Schema

    words = [name for name in ("action", "video_id", "data") if name not in streams]
    asked = [(DataType.string, name) for name in words] + [(AnyType(), name) for name in streams]
    answered = [(DataType.string, "video_id"), (DataType.string, "action"), (DataType.double, "score")]
    return ModelSignature(
        Schema([ColSpec(kind, name, required=False) for kind, name in asked]),
        Schema(
            [ColSpec(kind, name, required=name == "action") for kind, name in answered]
            + [ColSpec(Map(DataType.double), "scores"), ColSpec(AnyType(), "networks")]
        ),
        ParamSchema([ParamSpec("details", DataType.boolean, default=True)]),
    )


def _example(saved: SavedNetworks, action: str) -> Any:
    """Returns the smallest request there is: a clip of zeros, two segments long."""
    import pandas as pd

    clip = {name: [[0.0] * width] * 2 for name, width in saved.widths.items()}
    return pd.DataFrame([{"action": action, "video_id": "example", **clip}])


def _place(source: Path, target: Path) -> None:
    """Puts a file there without copying it if the file systems allow."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
