"""What every final network predicts of the test split: scores of videos in the annotators' unit, or of segments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pamfn.data.bank import Bank
from pamfn.phases.replica import Replica
from pamfn.phases.saved import SavedNetworks

PREDICTIONS = "predictions.parquet"


def write_predictions(
    path: Path,
    video_ids: Sequence[str],
    networks: SavedNetworks,
    scores: Sequence[NDArray[np.float64]],
    replicas: Sequence[Replica],
) -> None:
    """Writes one row for each network and test video.

    Args:
        path: The file.
        video_ids: Names of all videos of the bank.
        networks: The networks.
        scores: What each predicts, in (0, 1).
        replicas: The videos of each.
    """
    columns: dict[str, list[Any]] = {"network": [], "task": [], "video_id": [], "predicted": [], "annotated": []}
    for replica, target, mine in zip(replicas, networks.targets, scores, strict=True):
        columns["network"] += [replica.name] * len(mine)
        columns["task"] += [replica.task] * len(mine)
        columns["video_id"] += [video_ids[v] for v in replica.valid]
        columns["predicted"] += target.decode(mine).tolist()
        columns["annotated"] += replica.scores_V[replica.valid].tolist()
    _write(path, columns)


def write_segments(
    path: Path,
    video_ids: Sequence[str],
    chances: Sequence[NDArray[np.float64]],
    replicas: Sequence[Replica],
    bank: Bank,
) -> None:
    """Writes one row for each network and segment of a test video.

    Its ``label`` is the annotation as it is: above 0 for a highlight, 0 for a borderline segment, below 0 for any
    other.

    Args:
        path: The file.
        video_ids: Names of all videos of the bank.
        chances: Of each network, the chance of each segment to be a highlight, video after video.
        replicas: The videos of each.
        bank: The videos.
    """
    columns: dict[str, list[Any]] = {"network": [], "task": [], "video_id": [], "segment": []}
    columns |= {"predicted": [], "label": []}
    for replica, mine in zip(replicas, chances, strict=True):
        lengths = bank.lengths_of_videos[replica.valid]
        columns["network"] += [replica.name] * len(mine)
        columns["task"] += [replica.task] * len(mine)
        columns["video_id"] += [
            video_ids[v] for v, length in zip(replica.valid, lengths, strict=True) for _ in range(length)
        ]
        columns["segment"] += [segment for length in lengths for segment in range(length)]
        columns["predicted"] += mine.tolist()
        columns["label"] += [float(match) for matches in bank.matches_of(replica.valid) for match in matches]
    _write(path, columns)


def _write(path: Path, columns: dict[str, list[Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path)
