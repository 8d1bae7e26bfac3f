r"""How sure a mean over cross-validation folds is, whose training sets overlap, and several such means at once.

The plain t interval takes the folds for independent; they are not, as any two share most of their training videos. So

    error^2 = (1 / J + n_test / n_train) s^2,    J - 1 degrees of freedom,

with s^2 the variance of the J values and, in J-fold cross-validation, n_test / n_train = 1 / (J - 1): the corrected
resampled t test of C. Nadeau and Y. Bengio, "Inference for the Generalization Error", Machine Learning 52 (2003),
239-281. Seeds of a fold see the same videos: they are averaged before, so that they do not pass for more folds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

SURE = 0.05


@dataclass(frozen=True)
class Estimate:
    """A mean over folds.

    Args:
        mean: The mean.
        low: Lower end of its interval.
        high: Upper end.
        p: Probability of a mean at least this far from zero, on either side, were it zero in truth.
    """

    mean: float
    low: float
    high: float
    p: float


def corrected(
    values: Sequence[float] | NDArray[np.float64], *, overlap: float | None = None, level: float = 0.95
) -> Estimate | None:
    """Returns the mean of one value a fold with its corrected t interval and test; None with fewer than two, or a NaN.

    Args:
        values: One value a fold, the seeds of a fold averaged: scores on Fisher's z scale, or differences of such
            scores of two models on the same folds.
        overlap: Size of a test set over that of its training set; that of cross-validation if not given.
        level: Coverage of the interval.
    """
    folds = len(values)
    if folds < 2 or not np.isfinite(values).all():
        return None
    ratio = 1 / (folds - 1) if overlap is None else overlap
    mean, error = float(np.mean(values)), math.sqrt((1 / folds + ratio) * float(np.var(values, ddof=1)))
    reach = float(stats.t.ppf((1 + level) / 2, folds - 1)) * error
    p = 2 * float(stats.t.sf(abs(mean) / error, folds - 1)) if error > 0 else float(mean == 0)
    return Estimate(mean, mean - reach, mean + reach, p)


def holm(p: Sequence[float]) -> list[float]:
    """Returns probabilities corrected for being so many (S. Holm, Scandinavian Journal of Statistics 6, 1979, 65-70).

    The smallest of m is multiplied by m, the next by m - 1 and so on; none becomes smaller than one before it.
    """
    order = np.argsort(p, kind="stable")
    scaled = np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(value) for value in adjusted]


def back(estimate: Estimate, beside: float = 0.0, *, fisher: bool = True) -> tuple[float, float, float]:
    """Returns mean, low and high of an estimate on Fisher's z scale as correlations.

    Args:
        estimate: The estimate; a difference to what is ``beside`` it.
        beside: The z score that it is a difference to. The correlations are differences to that one's then: the first
            is exactly that of the two averages, and the interval holds zero where that of z does.
        fisher: Whether it is on Fisher's scale; else it is returned as it is.
    """
    if not fisher:
        return estimate.mean, estimate.low, estimate.high
    at = math.tanh(beside)
    low, mean, high = (math.tanh(beside + z) - at for z in (estimate.low, estimate.mean, estimate.high))
    return mean, low, high
