"""Logged models: a trial's weights as MLflow's Models tab shows them, linked to the run and to the data set.

A model is made of a folder. One that holds MLflow's own description, an ``MLmodel`` file, is logged as it is, with the
ids it has been given, and registered as that says; of any other, of safetensors and JSON, the description is written
here. No object of ours is pickled.
"""

from __future__ import annotations

import math
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuning.tracking.experiment import DIGEST_LENGTH
from tuning.tracking.record import StudyRecord
from tuning.tracking.registry import register
from tuning.tracking.run import RunWriter

FILE, CARD = "MLmodel", "model_card.md"
REGISTER = "register_as"  # in a description's metadata: the registered models that this is to be a version of
NOTE = "mlflow.note.content"  # the tag that a page shows as the description
LONGEST = 4800  # characters of a version's description; MLflow's databases hold 5000
_REFUSED = re.compile(r"[^\w\- ]+")


def log_model(
    client: Any,
    experiment_id: str,
    run: RunWriter,
    name: str,
    folder: Path,
    metrics: Mapping[str, float],
    record: StudyRecord,
    step: int = 0,
) -> str:
    """Returns the id of the logged model, made of the folder's files unless the run already has it.

    Args:
        client: The client.
        experiment_id: The experiment.
        run: The run that it comes from.
        name: Its name; characters that MLflow refuses are replaced.
        folder: Its files.
        metrics: Its numbers; those that the run has at this step are the same ones.
        record: The study.
        step: The epoch that it is of.
    """
    legal = _REFUSED.sub("_", name)
    noted = f"model.{legal}"
    if noted not in run.tags:
        model_id = _made(client, experiment_id, run, legal, folder, metrics, record, step)
        run.update({}, {noted: model_id})
    model_id = run.tags[noted]
    if (folder / FILE).exists():
        from mlflow.models import Model

        names = (Model.load(str(folder)).metadata or {}).get(REGISTER, [])
        register(client, run, model_id, names, _described(folder))
    return model_id


def _made(
    client: Any,
    experiment_id: str,
    run: RunWriter,
    name: str,
    folder: Path,
    metrics: Mapping[str, float],
    record: StudyRecord,
    step: int,
) -> str:
    """Makes the model; it is ready, for whoever looks, when all of it is there."""
    from mlflow.entities import LoggedModelOutput

    tags = {"study": record.name, "data_digest": record.data.digest}
    tags |= {NOTE: words} if (words := _described(folder)) else {}
    kind = "pamfn" if (folder / FILE).exists() else "checkpoint"
    model = client.create_logged_model(
        experiment_id, name, source_run_id=run.run_id, tags=tags, params=run.parameters, model_type=kind
    )
    try:
        _upload(client, model, folder)
        client.log_outputs(run.run_id, [LoggedModelOutput(model.model_id, step=step)])
        _log_metrics(client, run, model.model_id, metrics, record, step)
    except BaseException:
        client.finalize_logged_model(model.model_id, "FAILED")
        raise
    client.finalize_logged_model(model.model_id, "READY")
    return str(model.model_id)


def _log_metrics(
    client: Any, run: RunWriter, model_id: str, metrics: Mapping[str, float], record: StudyRecord, step: int
) -> None:
    """Writes a model's numbers, linked to the data set.

    MLflow writes them on the run as well. With the time that they have there they are one number and not two.
    """
    from mlflow.entities import Metric

    data = {"dataset_name": record.data.name, "dataset_digest": record.data.digest[:DIGEST_LENGTH]}
    batch, now = [], int(time.time() * 1000)
    for key, value in metrics.items():
        if not math.isfinite(value):
            continue  # MLflow would write a model's NaN as 0
        there = client.get_metric_history(run.run_id, key)
        at = next((old.timestamp for old in there if (old.step, old.value) == (step, value)), now)
        batch.append(Metric(key, value, at, step, model_id=model_id, run_id=run.run_id, **data))
    if batch:
        client.log_batch(run.run_id, metrics=batch, synchronous=True)


def _upload(client: Any, model: Any, folder: Path) -> None:
    """Uploads the folder, and its description with the ids that MLflow has given."""
    from mlflow.models import Model

    client.log_model_artifacts(model.model_id, str(folder))
    if (folder / FILE).exists():
        description = Model.load(str(folder))
    else:
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        description = Model(flavors={"pamfn": {"files": files}})
    description.artifact_path, description.run_id = model.artifact_location, model.source_run_id
    description.model_id = description.model_uuid = model.model_id
    description.model_size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / FILE
        description.save(str(path))
        client.log_model_artifact(model.model_id, str(path))


def _described(folder: Path) -> str:
    """Returns the card of a model as a description: without figures, and no longer than those may be."""
    if not (folder / CARD).exists():
        return ""
    text = (folder / CARD).read_text(encoding="utf-8").partition("\n\n## Figures")[0].strip()
    text = text if len(text) <= LONGEST else f"{text[:LONGEST].rsplit(chr(10), 1)[0]}\n\n(cut)"
    return f"{text}\n\nThis card as a file, and figures, are among the model's artifacts."
