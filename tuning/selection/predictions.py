"""Every final network's score of every test video, in the annotators' unit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, list[Any]] = {"network": [], "task": [], "video_id": [], "predicted": [], "annotated": []}
    for replica, target, mine in zip(replicas, networks.targets, scores, strict=True):
        columns["network"] += [replica.name] * len(mine)
        columns["task"] += [replica.task] * len(mine)
        columns["video_id"] += [video_ids[v] for v in replica.valid]
        columns["predicted"] += target.decode(mine).tolist()
        columns["annotated"] += replica.scores_V[replica.valid].tolist()
    pq.write_table(pa.table(columns), path)
