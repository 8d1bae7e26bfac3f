"""A trial's first folds against the best trial so far: whether the rest of its folds are worth training.

Bergman, Purucker and Hutter, "Don't Waste Your Time: Early Stopping Cross-Validation" (AutoML 2024): a configuration
whose folds so far are on average worse than the *worst* fold of the incumbent is not trained on the others (their
forgiving rule; the aggressive one compares with the incumbent's mean). There folds follow each other to their full
budget; here the comparison is at the first rung, where the first folds wait for the others: the incumbent is the trial
with the best score of all that have completed that rung, and the folds compared are those at that rung. Averages are
those of the study's metric: Fisher's of correlations, plain means of mean average precisions.

A decision once taken stands, as ``Rungs`` has it. A trial that ends here has no score at any rung; it counts as one
that came to the first rung and was below all others there (``Rungs.fall_short``), and its configuration as a bad one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pamfn.metrics import fisher_mean

Bar = Callable[[Sequence[float]], float]
Average = Callable[[Sequence[float]], float]


@dataclass(frozen=True)
class FoldDecision:
    """What was decided on a trial's first folds, and on what grounds.

    Args:
        trial: Trial id.
        folds: How many folds it had trained.
        of: How many a whole trial has.
        score: Average of these folds.
        incumbent: Id of the trial with the best score at the first rung; empty if there was none.
        bar: What the score had to reach: the incumbent's worst fold; minus infinity without an incumbent.
        goes_on: Whether the trial trains its other folds.
    """

    trial: str
    folds: int
    of: int
    score: float
    incumbent: str
    bar: float
    goes_on: bool

    @property
    def reason(self) -> str:
        """Why the trial ends; empty if it goes on."""
        return "" if self.goes_on else f"stopped after {self.folds} of {self.of} folds at rung 0"

    @property
    def grounds(self) -> dict[str, Any]:
        """What the decision rests on, for a journal: plain values that JSON can hold."""
        bar = self.bar if math.isfinite(self.bar) else None
        return {"folds": self.folds, "of": self.of, "score": self.score, "incumbent": self.incumbent, "bar": bar}


class FirstFolds:
    """The incumbent of the first rung, and the decisions taken against it; deterministic in the order of calls.

    Args:
        bar: What the mean of the first folds must reach, given the incumbent's folds: ``min`` is the forgiving rule.
        average: How the scores of folds are averaged.
    """

    def __init__(self, bar: Bar = min, average: Average = fisher_mean) -> None:
        self._bar, self._average = bar, average
        self._incumbent, self._best, self._folds = "", -math.inf, tuple[float, ...]()
        self._decisions: dict[str, FoldDecision] = {}

    def record(self, trial: str, score: float, result: Mapping[str, Any]) -> None:
        """Notes a trial that has completed the first rung; of equal scores the earlier one is the incumbent.

        Args:
            trial: Trial id.
            score: Its score at the first rung.
            result: What it reported there; without ``fold_scores`` it is no incumbent.
        """
        folds = fold_scores(result)
        if folds and score > self._best:
            self._incumbent, self._best, self._folds = trial, score, tuple(folds)

    def decide(self, trial: str, result: Mapping[str, Any]) -> FoldDecision:
        """Returns the decision on a trial that reports its first folds; the same one however often it is asked for.

        Raises:
            ValueError: If the result is not one of first folds.
        """
        if not waits_for_folds(result):
            raise ValueError(f"trial {trial}: folds {result.get('folds')!r} must be some, but not all, of its folds")
        if trial not in self._decisions:
            self._decisions[trial] = self._judge(trial, result)
        return self._decisions[trial]

    def _judge(self, trial: str, result: Mapping[str, Any]) -> FoldDecision:
        scores = fold_scores(result)
        bar = self._bar(self._folds) if self._folds else -math.inf
        mean = self._average(scores)
        return FoldDecision(trial, len(scores), int(result["folds"]["of"]), mean, self._incumbent, bar, mean >= bar)


def waits_for_folds(result: Mapping[str, Any]) -> bool:
    """Tells whether a result is that of a trial's first folds at the first rung, the others being behind."""
    folds = result.get("folds")
    return isinstance(folds, Mapping) and 0 < folds["done"] < folds["of"] and bool(fold_scores(result))


def fold_scores(result: Mapping[str, Any]) -> list[float]:
    """Returns the score of every fold that a result tells of, in the order of the folds."""
    scores = result.get("fold_scores") or {}
    return [float(scores[fold]) for fold in sorted(scores, key=int)]
