"""The winner's curse: by how much the best of many scores flatters the configuration that has it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuning.score_metric import SPEARMAN, ScoreMetric

DRAWS = 4000


@dataclass(frozen=True)
class Flattery:
    """How much of the best score is luck.

    Args:
        best: The best score.
        by: How much of it is likely luck.
        corrected: The best score less that.
        low: Lower end of the corrected score's 95% interval.
        high: Its upper end.
        noise: Standard error of one trial's score, on the scale on which scores are averaged.
        trials: Trials among which the best is.
        at_most: What the luck would come to were all of them equal.
    """

    best: float
    by: float
    corrected: float
    low: float
    high: float
    noise: float
    trials: int
    at_most: float


def flattery(scores: Sequence[Mapping[str, float]], seed: int, metric: ScoreMetric = SPEARMAN) -> Flattery | None:
    """Estimates how much of the best of several trials' scores is luck, by a parametric bootstrap.

    On the scale on which scores are averaged, Fisher's of correlations, a trial's score on a replica (class, fold,
    seed) is taken as ``trial + replica + noise``. What all trials share, such as an easy fold, favours none of them;
    the noise is what is left of the two-way layout, and the spread of the trials' means beyond it is what they truly
    differ by. A study is drawn again from this model many times: the truth of each trial, its measured mean, the best
    by that, and the luck in it. Both variances are drawn as well, from what their degrees of freedom leave open, since
    few trials tell little of them. An expected maximum of the noise alone would take every difference between
    configurations for luck; it is kept as ``at_most``.

    The trials are those that ran their full budget. That early stopping chose these from more, on the same folds, is
    left out.

    Args:
        scores: For each trial its score of every replica by name; all of the same replicas.
        seed: Seed of the draws.
        metric: What the scores are.

    Returns:
        The estimate; None with fewer than three trials, fewer than two replicas, or replicas that differ.
    """
    names = sorted(scores[0]) if scores else []
    if len(scores) < 3 or len(names) < 2 or any(sorted(mine) != names for mine in scores):
        return None
    z_IJ = metric.scaled([[mine[name] for name in names] for mine in scores])
    if not np.isfinite(z_IJ).all():
        return None
    trials, replicas = z_IJ.shape
    mean_I = z_IJ.mean(1)
    residual_IJ = z_IJ - mean_I[:, None] - z_IJ.mean(0) + z_IJ.mean()
    freedom = (trials - 1) * (replicas - 1)
    noise = float((residual_IJ**2).sum()) / freedom / replicas  # variance of one trial's mean
    rng = np.random.default_rng([seed, trials, replicas])
    luck_Q = _luck(rng, trials, noise, freedom, float(mean_I.var(ddof=1)))
    best = int(mean_I.argmax())
    extreme = math.sqrt(noise) * float(rng.standard_normal((DRAWS, trials)).max(1).mean())
    lucks = (float(luck_Q.mean()), *np.quantile(luck_Q, [0.975, 0.025]), extreme)
    corrected, low, high, without = (float(metric.unscaled(mean_I[best] - luck)) for luck in lucks)
    top = metric.average(metric.unscaled(z_IJ[best]))
    return Flattery(
        best=top,
        by=top - corrected,
        corrected=corrected,
        low=low,
        high=high,
        noise=math.sqrt(noise),
        trials=trials,
        at_most=top - without,
    )


def _luck(rng: np.random.Generator, trials: int, noise: float, freedom: int, spread: float) -> NDArray[np.float64]:
    """Returns the luck of the best trial in every draw, shape (draws,).

    Args:
        rng: Source of randomness.
        trials: Trials a draw.
        noise: Measured variance of a trial's mean about its truth.
        freedom: Its degrees of freedom.
        spread: Measured variance of the trials' means.
    """
    noise_Q = noise * freedom / rng.chisquare(freedom, DRAWS)
    spread_Q = spread * (trials - 1) / rng.chisquare(trials - 1, DRAWS)
    true_Q = np.sqrt(np.maximum(spread_Q - noise_Q, 0))
    truth_QI = true_Q[:, None] * rng.standard_normal((DRAWS, trials))
    luck_QI = np.sqrt(noise_Q)[:, None] * rng.standard_normal((DRAWS, trials))
    best_Q = (truth_QI + luck_QI).argmax(1)
    return np.asarray(luck_QI[np.arange(DRAWS), best_Q])
