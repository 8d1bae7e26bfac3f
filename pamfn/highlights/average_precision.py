"""Average precision of the segments of a video, and its mean over videos (Table IX).

The benchmark of YouTube Highlights ranks a video's segments by their predicted scores and takes the area under the
precision-recall curve by trapezoids, from precision 1 at recall 0 on:

    AP = sum over highlights i of (P(i - 1) + P(i)) / 2 / H

with P(i) the precision among the first i segments, P(0) = 1, and H highlights in the video. A video without highlights
scores 0 and counts. This is at most the average precision without interpolation, sum of P(i) / H, that scikit-learn
computes, and equal to it only where every highlight ranks above every other segment.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pamfn.highlights.labels import is_highlight

Array = NDArray[np.float64]


def average_precision(predicted: ArrayLike, highlight: ArrayLike) -> float:
    """Returns the average precision of one video.

    Among equal predictions it is the mean over all orders of the tied segments: what the benchmark's own sort, whose
    order of equals is arbitrary, gives on average. So predictions that are all equal score what chance scores, and the
    order in which segments are listed never matters.

    Args:
        predicted: Predicted scores, shape (T,); a larger one is more of a highlight.
        highlight: Whether a segment is one, shape (T,).

    Returns:
        A number in [0, 1]; 0 for a video without highlights, NaN if a prediction is not finite.

    Raises:
        ValueError: If the shapes differ or are not flat.
    """
    x, y = np.asarray(predicted, dtype=np.float64), np.asarray(highlight, dtype=bool)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"average_precision: shapes {x.shape} and {y.shape} must be equal and flat")
    if not np.isfinite(x).all():
        return float("nan")
    if not y.any():
        return 0.0
    _, block_T, segments_Q = np.unique(-x, return_inverse=True, return_counts=True)
    highlights_Q: Array = np.bincount(block_T, weights=y, minlength=len(segments_Q)).astype(np.float64)
    return float(_areas(highlights_Q, segments_Q).sum() / y.sum())


def _areas(highlights_Q: Array, segments_Q: NDArray[np.int64]) -> Array:
    """Returns the mean area of every rank, times H, given blocks of tied segments from the best on; shape (T,).

    A segment of a block of n segments with h highlights is one with chance h / n wherever it stands; if it is, k - 1
    others of its block before it hold (k - 1) (h - 1) / (n - 1) on average. The area is linear in that number.
    """
    first_Q = np.cumsum(segments_Q) - segments_Q
    before_Q = np.cumsum(highlights_Q) - highlights_Q
    rank_T = np.arange(segments_Q.sum())  # segments before a rank
    h_T, n_T = np.repeat(highlights_Q, segments_Q), np.repeat(segments_Q, segments_Q)
    within_T = (rank_T - np.repeat(first_Q, segments_Q)) * (h_T - 1) / np.maximum(n_T - 1, 1)
    found_T = np.repeat(before_Q, segments_Q) + within_T
    precision_before_T = np.where(rank_T == 0, 1.0, found_T / np.maximum(rank_T, 1))
    area_T: Array = h_T / n_T * (precision_before_T + (found_T + 1) / (rank_T + 1)) / 2
    return area_T


def average_precisions(predicted: Sequence[ArrayLike], matches: Sequence[ArrayLike]) -> Array:
    """Returns the average precision of each video, shape (V,).

    Args:
        predicted: Predicted scores of the segments of each video.
        matches: Their annotations; see `is_highlight`.
    """
    return np.array([average_precision(x, is_highlight(m)) for x, m in zip(predicted, matches, strict=True)])


def mean_average_precision(predicted: Sequence[ArrayLike], matches: Sequence[ArrayLike]) -> float:
    """Returns the mean average precision over the videos of a topic, one number of Table IX.

    Raises:
        ValueError: If there are no videos.
    """
    if not len(predicted):
        raise ValueError("mean_average_precision: no videos to average over")
    return float(average_precisions(predicted, matches).mean())


def bootstrap_map(precisions: Sequence[ArrayLike], *, seed: int, draws: int = 2000) -> Array:
    """Returns the mean over topics of mAP under draws of the videos with replacement, shape (draws,).

    Videos are drawn within each topic, and all networks of a topic see the same draw. Two models that are given the
    same seed see the same videos: differences are paired.

    Args:
        precisions: One array a topic, shape (networks, videos of the topic): the average precision of each video.
        seed: Seed of the draws.
        draws: How many.
    """
    means = []
    for topic, of_topic in enumerate(precisions):
        videos_N = np.atleast_2d(np.asarray(of_topic, dtype=np.float64)).mean(0)
        chosen_QN = np.random.default_rng([seed, topic]).integers(0, len(videos_N), size=(draws, len(videos_N)))
        means.append(videos_N[chosen_QN].mean(1))
    drawn: Array = np.stack(means).mean(0)
    return drawn
