"""How a score is told: its interval over videos, its deviation over seeds, and differences of two models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pamfn.highlights.average_precision import bootstrap_map
from pamfn.metrics import bootstrap_averages, interval, spearman
from tuning.score_metric import MAP, SPEARMAN, ScoreMetric

DRAWS = 4000

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measured:
    """A model's scores on the test split, for one class or for the average over classes.

    Args:
        each: Scores of the networks, one list a class.
        draws: Their average under draws of the test videos; the same videos for every model of a study.
        metric: What the scores are.
    """

    each: list[list[float]]
    draws: Array
    metric: ScoreMetric = SPEARMAN

    @property
    def score(self) -> float:
        """The average over classes and seeds."""
        return self.metric.average(self.each)

    def told(self) -> dict[str, Any]:
        """Returns it as plain values: the average, its 95% interval over videos, the deviation over seeds."""
        low, high = interval(self.draws)
        by_seed = [self.metric.average(same) for same in zip(*self.each, strict=True)]
        deviation = float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else None
        return {self.metric.name: self.score, "low": low, "high": high, "deviation": deviation, "each": by_seed}


def measured(predicted: Sequence[Array], truth: Sequence[Array], seed: int) -> Measured:
    """Returns the correlations of a model.

    Args:
        predicted: One array a class, shape (seeds, videos of the class).
        truth: One array a class, shape (videos of the class,).
        seed: Seed of the draws of videos.
    """
    each = [[spearman(mine, scores) for mine in rows] for rows, scores in zip(predicted, truth, strict=True)]
    return Measured(each, bootstrap_averages(predicted, truth, seed=seed, draws=DRAWS))


def measured_precisions(precisions: Sequence[Array], seed: int) -> Measured:
    """Returns the mean average precisions of a model.

    Args:
        precisions: One array a class, shape (seeds, videos of the class): the average precision of each video.
        seed: Seed of the draws of videos.
    """
    each = [[float(videos.mean()) for videos in rows] for rows in precisions]
    return Measured(each, bootstrap_map(precisions, seed=seed, draws=DRAWS), MAP)


def gain(mine: Measured, other: Measured) -> dict[str, float]:
    """Returns the difference of two models of the same networks, paired over videos."""
    low, high = interval(mine.draws - other.draws)
    return {mine.metric.name: mine.score - other.score, "low": low, "high": high}


def difference(mine: Measured, other: Measured, seed: int) -> dict[str, float | None]:
    """Returns the difference of two configurations: what it would be over other videos and with other seeds.

    The draws of videos are paired: both models see the same. They say nothing of the luck of the seeds, so a mean over
    a few networks gets Student's t noise of that mean's own standard error in each draw: two configurations that are
    equal differ by their seeds as well. The scatter over seeds holds some of that over videos, so the interval is a
    little too wide. With one seed there is no such scatter, and no interval.
    """
    metric, between = mine.metric, mine.score - other.score
    freedom = sum(len(networks) - 1 for model in (mine, other) for networks in model.each)
    if not freedom:
        return {metric.name: between, "low": None, "high": None}
    rng = np.random.default_rng([seed, DRAWS])
    spread_Q = np.sqrt(freedom / rng.chisquare(freedom, DRAWS))
    ours_Q, theirs_Q = (
        metric.unscaled(metric.scaled(model.draws) + _error(model) * spread_Q * rng.standard_normal(DRAWS))
        for model in (mine, other)
    )
    low, high = interval(ours_Q - theirs_Q)
    return {metric.name: between, "low": low, "high": high}


def _error(model: Measured) -> float:
    """Returns the standard error over seeds of a model's average, on the scale on which it is averaged."""
    z_CS = model.metric.scaled(model.each)
    classes, seeds = map(int, z_CS.shape)
    return float(np.sqrt((z_CS.var(1, ddof=1) / seeds).sum()) / classes)
