"""What the replicas of a trial, some or all, have come to at one point of their training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pamfn.metrics import AVERAGES
from pamfn.phases.replica import Replica
from pamfn.phases.report import Report
from tuning.divergence import first_fault


@dataclass(frozen=True)
class Milestone:
    """The reports of replicas at a milestone, by the replicas' names.

    Args:
        progress: Share of the full budget.
        scores: Score of each on its held-out videos.
        losses: Mean loss of each since the last milestone; NaN where there was no step.
        constant: Which predict one value for all their videos.
        ended: Why each cannot go on; empty for a healthy one.
        metric: Name of the score among `pamfn.metrics.AVERAGES`.
    """

    progress: float
    scores: dict[str, float]
    losses: dict[str, float]
    constant: dict[str, bool]
    ended: dict[str, str]
    metric: str = "spearman"

    @property
    def score(self) -> float:
        """The average of the scores: Fisher's of correlations, the plain mean of mean average precisions."""
        return AVERAGES[self.metric](list(self.scores.values()))

    @property
    def fault(self) -> str:
        """Why the trial cannot go on: the first of its replicas that ended; empty while all are healthy."""
        return first_fault(list(self.ended), list(self.ended.values()))

    @property
    def sameness(self) -> str:
        """Says so if more than half of the replicas predict one value for all videos; empty if not."""
        constant, replicas = sum(self.constant.values()), len(self.constant)
        why = f"constant: {constant} of {replicas} replicas predict one value for all videos"
        return why if 2 * constant > replicas else ""

    def point(self, epoch: int) -> dict[str, Any]:
        """Returns the milestone as a point of the learning curve."""
        losses = [loss for loss in self.losses.values() if not math.isnan(loss)]
        return {
            "epoch": epoch,
            "progress": self.progress,
            "val_spearman": self.score,
            "loss": sum(losses) / len(losses) if losses else math.nan,
            "constant": sum(self.constant.values()),
            "scores": dict(self.scores),
        }


def found(progress: float, names: Sequence[str], reports: Sequence[Report]) -> Milestone:
    """Returns the milestone that replicas have reached.

    Args:
        progress: Share of the full budget.
        names: The replicas, in the order of the reports and of their rows.
        reports: One of each batched program.

    Raises:
        ValueError: If the reports are not all of one metric.
    """
    metric = _one(report.metric for report in reports)
    rows = [row for r in reports for row in zip(r.scores, r.losses, r.constant, r.ended, strict=True)]
    columns = zip(*rows, strict=True)
    scores, losses, constant, ended = (dict(zip(names, column, strict=True)) for column in columns)
    return Milestone(progress, scores, losses, constant, ended, metric)


def joined(names: Sequence[str], first: Milestone, rest: Milestone) -> Milestone:
    """Returns the milestone of two parts of a trial that have both reached it, the replicas in the order of names.

    Raises:
        ValueError: If the parts are not of one metric.
    """
    metric = _one((first.metric, rest.metric))

    def both(field: str) -> dict[str, Any]:
        values = getattr(first, field) | getattr(rest, field)
        return {name: values[name] for name in names}

    return Milestone(rest.progress, both("scores"), both("losses"), both("constant"), both("ended"), metric)


def fold_scores(milestone: Milestone, replicas: Sequence[Replica]) -> dict[str, float]:
    """Returns by fold the average over classes and seeds; JSON has no other keys than words."""
    folds: dict[str, list[float]] = {}
    for replica in replicas:
        if replica.name in milestone.scores:
            folds.setdefault(str(replica.fold), []).append(milestone.scores[replica.name])
    return {fold: AVERAGES[milestone.metric](scores) for fold, scores in folds.items()}


def _one(metrics: Iterable[str]) -> str:
    """Returns the metric that all are of: their average has a meaning only then."""
    found = sorted({*metrics})
    if len(found) != 1:
        raise ValueError(f"metric: {', '.join(found) or 'none'}: the replicas of a trial have one between them")
    return found[0]
