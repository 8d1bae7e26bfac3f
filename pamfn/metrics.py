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

    A constant prediction ranks nothing and counts as 0. One prediction that is not finite makes it NaN.

    Args:
        predicted: Predicted scores, shape (n,).
        truth: Annotated scores, shape (n,).

    Raises:
        ValueError: If the shapes differ, there are fewer than two videos, or the annotated scores are all equal or not
            all finite.
    """
    x, y = np.asarray(predicted, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1 or len(x) < 2:
        raise ValueError(f"spearman: shapes {x.shape} and {y.shape} must be equal, flat, and of at least 2 videos")
    if not np.isfinite(y).all():
        raise ValueError(f"spearman: {np.count_nonzero(~np.isfinite(y))} of {len(y)} annotated scores are not finite")
    if np.ptp(y) == 0:
        raise ValueError(
            f"spearman: all {len(y)} annotated scores are {y[0]:g}; a correlation needs scores that differ"
        )
    if not np.isfinite(x).all():
        return float("nan")
    if is_constant(x):
        return 0.0
    return float(_pearson(rankdata(x), rankdata(y)))


def _pearson(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the correlation along the last axis; 0 where one side does not vary, NaN where one holds a NaN."""
    x, y = x - x.mean(-1, keepdims=True), y - y.mean(-1, keepdims=True)
    scale = np.sqrt((x * x).sum(-1) * (y * y).sum(-1))
    ratio: NDArray[np.float64] = np.divide((x * y).sum(-1), scale, out=np.zeros_like(scale), where=scale != 0)
    return ratio


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


def plain_mean(values: ArrayLike) -> float:
    """Returns the mean of mean average precisions, as over the topics of Table IX; one NaN makes it NaN.

    Raises:
        ValueError: If there is nothing to average.
    """
    found = np.asarray(values, dtype=np.float64).ravel()
    if found.size == 0:
        raise ValueError("plain_mean: nothing to average")
    return float(found.mean())


AVERAGES: dict[str, Callable[[ArrayLike], float]] = {"spearman": fisher_mean, "map": plain_mean}
"""How the scores of several networks are averaged, by the name of the score; see `pamfn.phases.objective`."""


def bootstrap_averages(
    predicted: Sequence[NDArray[np.float64]], truth: Sequence[NDArray[np.float64]], *, seed: int, draws: int = 2000
) -> NDArray[np.float64]:
    """Returns a study's average correlation under draws of its videos with replacement, shape (draws,).

    Videos are drawn within each class, and all networks of a class see the same draw; the average over classes and
    networks is Fisher's. Two models that are given the same seed see the same videos: differences are paired.

    Args:
        predicted: One array a class, shape (networks, videos of the class).
        truth: One array a class, shape (videos of the class,).
        seed: Seed of the draws.
        draws: How many.
    """
    pairs = enumerate(zip(predicted, truth, strict=True))
    correlations = np.stack([_resampled(p, t, np.random.default_rng([seed, i]), draws) for i, (p, t) in pairs])
    averages: NDArray[np.float64] = np.tanh(np.arctanh(np.clip(correlations, -CLIP, CLIP)).mean((0, 1)))
    return averages


def interval(draws: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Returns the percentile interval of bootstrap draws."""
    low, high = np.quantile(np.asarray(draws, dtype=np.float64), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _resampled(
    predicted_SN: NDArray[np.float64], truth_N: NDArray[np.float64], rng: np.random.Generator, draws: int
) -> NDArray[np.float64]:
    """Returns Spearman's correlation of every network under every draw of videos, shape (networks, draws)."""
    chosen_QN = rng.integers(0, len(truth_N), size=(draws, len(truth_N)))
    truth_QN = rankdata(truth_N[chosen_QN], axis=-1)
    ranked = (np.zeros(truth_QN.shape) if is_constant(p) else rankdata(p[chosen_QN], axis=-1) for p in predicted_SN)
    return np.stack([_pearson(rank_QN, truth_QN) for rank_QN in ranked])
