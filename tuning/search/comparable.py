"""Scores of trials that ended at different rungs, carried to one rung, so that a searcher compares like with like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from statistics import fmean

import numpy as np

CLIP = 0.999  # as in pamfn.metrics: correlations are clipped before atanh


def comparable(scores: Mapping[str, Mapping[int, float]]) -> dict[str, float]:
    """Returns every trial's score as it would stand at the highest rung that any trial has completed.

    A trial's score at its own highest rung r is carried upwards by the mean gain, on Fisher's z scale, of the trials
    that have completed both r and r + 1, rung by rung. This is an extrapolation: it supposes that a trial stopped at r
    would have gained what those that went on did. They went on because they scored well at r, so part of their score
    was luck and their gain is, if anything, too small: a stopped trial is never flattered by it. Among trials that
    ended at the same rung the order is that of their scores there.

    Args:
        scores: For each trial its score (a correlation) at every rung it has completed; one without any is left out.
    """
    z = {trial: {rung: _fisher(score) for rung, score in at.items()} for trial, at in scores.items() if at}
    top = max((max(at) for at in z.values()), default=0)
    gains = [_mean_gain(z, rung) for rung in range(top)]
    further = [sum(gains[rung:]) for rung in range(top + 1)]
    carried = [at[rung] + further[rung] for at in z.values() for rung in [max(at)]]
    return dict(zip(z, np.tanh(carried).tolist(), strict=True)) if z else {}


def moved_to(own: Sequence[float], others: Sequence[float]) -> list[float]:
    """Returns scores of another study, shifted and stretched on Fisher's z scale to the mean and spread of one's own.

    What is to be learned from another data set is which configurations are better there, not how good they are. With
    fewer than two different scores of one's own, the others stay as they are.
    """
    mine, theirs = np.array(list(map(_fisher, own))), np.array(list(map(_fisher, others)))
    if len(set(own)) < 2 or len(set(others)) < 2:
        return list(others)
    moved = mine.mean() + (theirs - theirs.mean()) / theirs.std() * mine.std()
    return [float(score) for score in np.tanh(moved)]


def _mean_gain(z: Mapping[str, Mapping[int, float]], rung: int) -> float:
    gains = [at[rung + 1] - at[rung] for at in z.values() if rung in at and rung + 1 in at]
    return fmean(gains) if gains else 0.0


@lru_cache(maxsize=100_000)  # every suggestion asks for those of all trials
def _fisher(score: float) -> float:
    return float(np.arctanh(np.clip(score, -CLIP, CLIP)))
