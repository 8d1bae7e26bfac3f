"""Spearman's correlation, its average by Fisher's z, and bootstrap intervals over videos (Sec. IV-B, Eq. 13)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

CLIP = 0.999  # correlations are clipped to +-CLIP before atanh, so that a perfect one does not rule an average
CONSTANT = 1e-7  # predictions in [0, 1] closer together than float32's rounding are one value


def is_constant(predicted: ArrayLike) -> bool:
    """Tells whether predictions in [0, 1] are all one value, up to float32's rounding."""
    return bool(np.ptp(np.asarray(predicted, dtype=np.float64)) <= CONSTANT)


def spearman(predicted: ArrayLike, truth: ArrayLike) -> float:
    """Returns Spearman's rank correlation (Eq. 13); ties share their mean rank.

    A constant prediction ranks nothing and counts as 0. A prediction that is not finite gives NaN.

    Args:
        predicted: Predicted scores, shape (n,).
        truth: Annotated scores, shape (n,).

    Raises:
        ValueError: If the shapes differ, there are fewer than two videos, or the annotated scores are all equal.
    """
    x, y = np.asarray(predicted, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1 or len(x) < 2:
        raise ValueError(f"spearman: shapes {x.shape} and {y.shape} must be equal, flat, and of at least 2 videos")
    if np.ptp(y) == 0:
        raise ValueError(f"spearman: all {len(y)} annotated scores are {y[0]:g}; a correlation needs scores that differ")
    if not np.isfinite(x).all():
        return float("nan")
    if is_constant(x):
        return 0.0
    return float(_pearson(rankdata(x), rankdata(y)))


def _pearson(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the correlation along the last axis; 0 where one side does not vary."""
    x, y = x - x.mean(-1, keepdims=True), y - y.mean(-1, keepdims=True)
    scale = np.sqrt((x * x).sum(-1) * (y * y).sum(-1))
    return np.divide((x * y).sum(-1), scale, out=np.zeros_like(scale), where=scale > 0)


def fisher_mean(correlations: ArrayLike) -> float:
    """Returns the average correlation by Fisher's z, the "Avg." column of the paper's tables.

    Values are clipped to +-0.999 first; one NaN makes the average NaN.

    Raises:
        ValueError: If there is nothing to average.
    """
    values = np.asarray(correlations, dtype=np.float64).ravel()
    if values.size == 0:
        raise ValueError("fisher_mean: no correlations to average")
    return float(np.tanh(np.arctanh(np.clip(values, -CLIP, CLIP)).mean()))


def bootstrap_interval(
    predicted: Sequence[NDArray[np.float64]],
    truth: Sequence[NDArray[np.float64]],
    *,
    seed: int,
    level: float = 0.95,
    draws: int = 2000,
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
) -> tuple[float, float]:
    """Returns the percentile bootstrap interval, over videos, of a study's Fisher-z average correlation.

    Videos are drawn with replacement within each class; all seeds of a class see the same draw.

    Args:
        predicted: One array a class, shape (seeds, videos of the class).
        truth: One array a class, shape (videos of the class,).
        seed: Seed of the draws.
        level: Coverage of the interval.
        draws: Bootstrap draws.
        statistic: Maps correlations (classes, seeds, draws) to (draws,); the Fisher-z mean over both by default.
    """
    correlations = np.stack(
        [_resampled(p, t, np.random.default_rng([seed, i]), draws) for i, (p, t) in enumerate(zip(predicted, truth, strict=True))]
    )
    combine = statistic or (lambda r: np.tanh(np.arctanh(np.clip(r, -CLIP, CLIP)).mean((0, 1))))
    low, high = np.quantile(combine(correlations), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _resampled(
    predicted_SN: NDArray[np.float64], truth_N: NDArray[np.float64], rng: np.random.Generator, draws: int
) -> NDArray[np.float64]:
    """Returns Spearman's correlation of every seed under every draw of videos, shape (seeds, draws)."""
    chosen_QN = rng.integers(0, len(truth_N), size=(draws, len(truth_N)))
    truth_QN = rankdata(truth_N[chosen_QN], axis=-1)
    return np.stack([_pearson(rankdata(p[chosen_QN], axis=-1), truth_QN) for p in predicted_SN])
