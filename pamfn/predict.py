"""Scores of the videos of shards by trained networks, as a Parquet file.

python -m pamfn.predict studies/rg/final/0000 --data shards/rg --split test --out scores.parquet

MODEL is a folder of networks (a study's ``final/<trial>``, or what ``python -m pamfn.import_released`` wrote) or an
MLflow model of this project as a folder. A row is a video and a score of its class: ``video_id``, ``action``,
``task``, ``score``, the mean over networks in the annotators' unit, and ``score.<network>`` for each network. Of
networks that detect highlights a row is a ``segment``, and a score its chance to be one.

Exit 0: written; 1: the model or the shards cannot be used, and why; 2: the request was wrong.
"""

from __future__ import annotations

import argparse
import difflib
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pamfn.data.bank import Bank
from pamfn.data.faults import ShardError
from pamfn.data.features import Contents, FeatureSet
from pamfn.data.rules import SPLITS, counted
from pamfn.data.shards import read_shards, read_table_of_contents
from pamfn.phases.saved import DESCRIPTION, SavedNetworks, load_networks
from pamfn.serving.scorer import Scorer
from pamfn.serving.shards import no_video, stream_faults
from pamfn.serving.tasks import NetworksOfTask, load_tasks, tasks_by_name

NETWORKS = "networks"  # folder of an MLflow model that holds them


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    arguments = _parser().parse_args(argv)
    if fault := _request_fault(arguments):
        return _refuse([fault], status=2)
    try:
        networks, tasks, features = _read(arguments)
        rows = _scored(networks, tasks, features, arguments)
    except ShardError as error:
        return _refuse(error.faults, status=1)
    except ValueError as error:
        return _refuse([str(error)], status=1)
    try:
        _write(rows, arguments.out)
    except OSError as error:
        return _refuse([f"{arguments.out}: cannot be written ({error.strerror})"], status=1)
    told = f"{counted(len(rows['video_id']), 'score')} by {counted(len(networks.names), 'network')}"
    sys.stdout.write(f"{arguments.out}: {told}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pamfn.predict", description="Scores videos by trained networks.")
    add = parser.add_argument
    add("model", metavar="MODEL", help="folder of networks, or an MLflow model of this project as a folder")
    add("--data", required=True, metavar="DIR", help="shards: a folder, or a URI such as s3://bucket/folder")
    add("--out", required=True, type=Path, metavar="FILE", help="the Parquet file to write; one that is there goes")
    add("--split", action="append", choices=SPLITS, help="a split; may be repeated (default: both)")
    add("--action", action="append", metavar="CLASS", help="a class; may be repeated (default: all that are scored)")
    add("--video", action="append", metavar="ID", help="a video; may be repeated (default: all)")
    add("--mean", action="store_true", help="leave out what each network says")
    add("--device", default="cpu", choices=("cpu", "cuda"), help="where to compute (default cpu, as studies judge)")
    return parser


def _request_fault(arguments: argparse.Namespace) -> str:
    model = arguments.model
    if model.startswith(("models:/", "runs:/")) or "://" in model:
        download = f"mlflow artifacts download --artifact-uri {shlex.quote(model)} --dst-path model"
        return f"MODEL: {model} is in MLflow; download it, and give its folder:\n{download}"
    if arguments.device == "cuda" and not torch.cuda.is_available():
        return "--device: there is no CUDA device here; leave it out"
    return f"--out: {arguments.out} is a folder; name a file" if arguments.out.is_dir() else ""


def _read(arguments: argparse.Namespace) -> tuple[SavedNetworks, list[NetworksOfTask], FeatureSet]:
    """Returns the networks, what they score, and the videos that are asked for.

    Raises:
        ValueError: If the networks or the shards cannot be used, or have nothing that is asked for.
    """
    folder = Path(arguments.model)
    folder = folder / NETWORKS if (folder / NETWORKS / DESCRIPTION).exists() else folder
    networks = load_networks(folder)
    schema, contents = read_table_of_contents(arguments.data)
    if faults := stream_faults(schema.modalities, networks.widths, arguments.data):
        raise ShardError(faults)
    known = list(dict.fromkeys(contents.actions))
    tasks = load_tasks(folder, networks.names) or tasks_by_name(networks.names, known)
    chosen = _chosen(contents, _actions(tasks, known, arguments), arguments)
    features = read_shards(
        arguments.data,
        actions=sorted({contents.actions[v] for v in chosen}),
        modalities=list(networks.widths),
        splits=[split for split in SPLITS if split in {contents.splits[v] for v in chosen}],
    )
    if arguments.video is None:
        return networks, tasks, features
    asked = [index for index, name in enumerate(features.video_ids) if name in set(arguments.video)]
    return networks, tasks, features.subset(asked)


def _actions(tasks: Sequence[NetworksOfTask], known: Sequence[str], arguments: argparse.Namespace) -> list[str]:
    """Returns the classes that are asked for.

    Raises:
        ValueError: If the networks do not score one of them, or none that the shards have.
    """
    scored = [action for action in known if any(action in task.actions for task in tasks)]
    if not scored:
        theirs = ", ".join(dict.fromkeys(repr(action) for task in tasks for action in task.actions)) or "none of them"
        raise ValueError(f"{arguments.data}: has the classes {', '.join(known)}; the networks score {theirs}")
    for action in arguments.action or ():
        if action not in scored:
            near = difflib.get_close_matches(action, scored, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"--action: no {action!r} among what the networks score: {', '.join(scored)}{hint}")
    return [action for action in scored if action in (arguments.action or scored)]


def _chosen(contents: Contents, actions: Sequence[str], arguments: argparse.Namespace) -> list[int]:
    """Returns the videos that are asked for.

    Raises:
        ValueError: If there are none, or one that is named is not among them.
    """
    splits = arguments.split or SPLITS
    rows = [v for v in range(len(contents)) if contents.actions[v] in actions and contents.splits[v] in splits]
    ids = [contents.video_ids[v] for v in rows]
    if not rows:
        raise ValueError(f"{arguments.data}: no video of {', '.join(actions)} in split {', '.join(splits)}")
    if lacking := [no_video(ids, name, arguments.data) for name in arguments.video or () if name not in ids]:
        raise ShardError(lacking)
    return [v for v in rows if arguments.video is None or contents.video_ids[v] in arguments.video]


def _scored(
    networks: SavedNetworks, tasks: Sequence[NetworksOfTask], features: FeatureSet, arguments: argparse.Namespace
) -> dict[str, list[Any]]:
    """Returns the columns of the table, the rows in the order of the videos, those of a video by task."""
    detects = networks.recipe.task == "highlights"
    found = _by_video(Scorer(networks, tasks, arguments.device), features, detects=detects)
    labels = {index: f"score.{_label(networks.names[index], t.task)}" for t in tasks for index in t.networks}
    columns = ["video_id", "action", "task", *(["segment"] if detects else []), "score"]
    columns += [] if arguments.mean else list(dict.fromkeys(labels.values()))
    rows: dict[str, list[Any]] = {name: [] for name in columns}
    for video, (name, action) in enumerate(zip(features.video_ids, features.actions, strict=True)):
        for task in [task for task in tasks if action in task.actions]:
            for segment, each in enumerate(found[task.task, video].T):
                row: dict[str, Any] = {"video_id": name, "action": action, "task": task.task, "segment": segment}
                row |= {"score": float(each.mean())}
                row |= {labels[index]: float(score) for index, score in zip(task.networks, each, strict=True)}
                for column, values in rows.items():
                    values.append(row.get(column))
    return rows


def _by_video(scorer: Scorer, features: FeatureSet, *, detects: bool) -> dict[tuple[str, int], NDArray[np.float64]]:
    """Returns what the networks of a task say of a video, (networks, 1), or of its segments, (networks, T)."""
    bank = Bank.of(features, scorer.device)
    videos = {t.task: np.flatnonzero([action in t.actions for action in features.actions]) for t in scorer.tasks}
    scores = scorer.chances(bank, videos) if detects else scorer.scores(bank, videos)
    found: dict[tuple[str, int], NDArray[np.float64]] = {}
    for task, of in scores.items():
        ends = np.cumsum(features.lengths[videos[task]] if detects else np.ones_like(videos[task]))
        parts = np.split(of, ends[:-1], axis=1)
        found |= {(task, int(video)): part for video, part in zip(videos[task], parts, strict=True)}
    return found


def _label(name: str, task: str) -> str:
    """Returns what a network is called among those of its task: ``all/seed0`` of ``Ball/all/seed0``."""
    return name.removeprefix(f"{task}/")


def _write(rows: dict[str, list[Any]], out: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.tmp")
    kinds = {"video_id": pa.string(), "action": pa.string(), "task": pa.string(), "segment": pa.int64()}
    columns = {name: pa.array(values, kinds.get(name, pa.float64())) for name, values in rows.items()}
    pq.write_table(pa.table(columns), temporary)
    temporary.replace(out)


def _refuse(faults: Sequence[str], *, status: int) -> int:
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
