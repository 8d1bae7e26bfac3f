"""A trial's checkpoint as models: its weights at the best epoch and at the last one, with their scores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tuning.score_metric import ScoreMetric
from tuning.tracking.points import point_metrics
from tuning.trial_files import BEST, LAST, STANDING


@dataclass(frozen=True)
class CheckpointModel:
    """The weights of a trial's networks at one epoch.

    Args:
        which: ``best`` or ``last``.
        epoch: The epoch, of the reference class.
        files: The weights, and what says of which networks they are and on which branches these stand.
        metrics: The scores on the held-out folds, as the trial's curve has them at this epoch.
    """

    which: str
    epoch: int
    files: tuple[Path, ...]
    metrics: Mapping[str, float]


def models_of(folder: Path, metric: ScoreMetric) -> list[CheckpointModel]:
    """Returns the models of a checkpoint; none before its first milestone, where nothing has a score.

    Args:
        folder: The checkpoint; see `tuning.trial_files`.
        metric: What the scores are.
    """
    standing = json.loads((folder / STANDING).read_text(encoding="utf-8"))
    points = {int(point["epoch"]): point for point in standing["curve"]}
    epochs = {"best": (BEST, standing.get("best_epoch")), "last": (LAST, max(points, default=None))}
    return [
        CheckpointModel(which, epoch, (folder / name, folder / STANDING), point_metrics(points[epoch], metric))
        for which, (name, epoch) in epochs.items()
        if epoch is not None and (folder / name).exists()
    ]
