"""How a study searches, as one plain value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pamfn.metrics import AVERAGES
from tuning.search.proposing import TYPES, Observation
from tuning.search.region import Region
from tuning.search.rungs import MODES


@dataclass(frozen=True)
class SearchSettings:
    """How a study searches.

    Args:
        seed: The study's seed.
        concurrent: Trials that may run at once; those that wait do not count.
        trials: Trials that may be started.
        first: The configuration of the first trial.
        points: Configurations of the trials after it.
        prior: What another study has observed.
        searcher: ``hyperopt``, ``random`` or ``grid``.
        warmup: Suggestions that are drawn at random before HyperOpt's.
        reduction: Of a rung the best 1/reduction go on; None stops only what is faulty.
        mode: ``stop`` or ``promote``.
        auto: Whether rungs that say nothing are left out of account.
        rungs: How many rungs a full budget has, its end included.
        stop_at_noise: Whether the study ends when another trial would gain less than the noise of the score.
        metric: Name of the score among `pamfn.metrics.AVERAGES`, which says how folds are averaged.
    """

    seed: int
    concurrent: int
    trials: int
    first: Mapping[str, Any]
    points: Sequence[Mapping[str, Any]] = ()
    prior: Sequence[Observation] = ()
    searcher: str = "hyperopt"
    warmup: int = 16
    reduction: float | None = 3
    mode: str = "stop"
    auto: bool = False
    rungs: int = 1
    stop_at_noise: bool = False
    metric: str = "spearman"

    def faults(self, region: Region) -> list[str]:
        """Returns what is wrong with these settings."""
        faults = [f"first: {fault}" for fault in region.faults(self.first)]
        faults += [f"points.{i}: {fault}" for i, point in enumerate(self.points) for fault in region.faults(point)]
        faults += [f"searcher.type: {self.searcher!r} is not one of {', '.join(TYPES)}"] * (self.searcher not in TYPES)
        faults += [f"scheduler.mode: {self.mode!r} is not one of {', '.join(MODES)}"] * (self.mode not in MODES)
        faults += [f"metric: {self.metric!r} is not one of {', '.join(AVERAGES)}"] * (self.metric not in AVERAGES)
        faults += [f"searcher.warmup: {self.warmup} must be at least 0"] * (self.warmup < 0)
        counts = {"budget.concurrent": self.concurrent, "budget.trials": self.trials}
        return faults + [f"{name}: {count} must be at least 1" for name, count in counts.items() if count < 1]
