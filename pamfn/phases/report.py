"""What a training reports at a milestone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """Where a training stands at a milestone; one entry a replica in every list.

    Attributes:
        progress: Share of the full budget.
        epochs: Epochs done.
        losses: Mean loss over the steps since the last report; NaN where there were none.
        scores: Spearman's correlation on the held-out videos, or what else ``metric`` names; NaN for a diverged
            replica; empty if none was asked for.
        constant: Whether a replica predicts one value for all its videos (its correlation counts as 0).
        ended: Why a replica cannot go on; empty for a healthy one.
        metric: Name of the score among `pamfn.metrics.AVERAGES`, which says how scores are averaged.
    """

    progress: float
    epochs: list[int]
    losses: list[float]
    scores: list[float]
    constant: list[bool]
    ended: list[str]
    metric: str = "spearman"

    def of(self, replica: int) -> Report:
        """Returns the report of one replica alone."""
        mine = {
            name: getattr(self, name)[replica : replica + 1]
            for name in ("epochs", "losses", "scores", "constant", "ended")
        }
        return Report(self.progress, **mine, metric=self.metric)

    @classmethod
    def joined(cls, reports: Sequence[Report]) -> Report:
        """Returns the reports of replicas at one milestone as one."""
        names = ("epochs", "losses", "scores", "constant", "ended")
        columns = {name: [v for r in reports for v in getattr(r, name)] for name in names}
        return cls(reports[0].progress, **columns, metric=reports[0].metric)


def milestone_epoch(progress: float, epochs: int) -> int:
    """Returns the epoch of a budget at which a milestone lies: the nearest whole one, at least the first."""
    return max(1, round(progress * epochs))
