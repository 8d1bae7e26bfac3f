"""Folds inside the training split: stratified by score, groups kept whole, the same for every trial of a study."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pamfn.seeding import generator

STRATA = 10


def fold_assignment(
    scores: ArrayLike, folds: int, seed: int, groups: Sequence[str | None] | None = None
) -> NDArray[np.int64]:
    """Returns the fold in which each video is held out.

    Without groups, videos ranked by score are dealt to the folds, a shuffled round at a time: sizes differ by at most
    one. With groups, each goes, the most telling first, to the fold that it leaves best balanced in score and size.

    Args:
        scores: Annotated scores, shape (n,).
        folds: Number of folds.
        seed: Decides, with the data alone, the whole assignment.
        groups: Athlete or speaker of each video, never split over folds; None for a video is a group of its own.

    Raises:
        ValueError: If there are fewer than two folds, fewer videos or groups than folds, a score is not finite, or a
            fold's scores are all equal, so that no correlation can be had from it.
    """
    values = np.asarray(scores, dtype=np.float64)
    _validate(values, folds, groups)
    rng = generator(seed, "folds", folds)
    assigned = _dealt(values, folds, rng) if groups is None else _balanced(values, folds, rng, _numbered(groups))
    for fold in range(folds):
        held_out = values[assigned == fold]
        if np.ptp(held_out) == 0:
            raise ValueError(
                f"folds: the {len(held_out)} videos of fold {fold} all score {held_out[0]:g}, which ranks nothing; "
                f"use fewer folds than {folds}"
            )
    return assigned


def _validate(values: NDArray[np.float64], folds: int, groups: Sequence[str | None] | None) -> None:
    if folds < 2:
        raise ValueError(f"folds: {folds} is below 2")
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"folds: scores of shape {values.shape} must be flat and finite")
    if groups is not None and len(groups) != len(values):
        raise ValueError(f"folds: {len(groups)} groups for {len(values)} videos")
    pieces, kind = (len(values), "videos") if groups is None else (int(_numbered(groups).max(initial=-1)) + 1, "groups")
    if pieces < folds:
        raise ValueError(f"folds: {pieces} {kind} cannot make {folds} folds; use fewer folds")


def _dealt(values: NDArray[np.float64], folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    shuffled = rng.permutation(len(values))
    ranked = shuffled[np.argsort(values[shuffled], kind="stable")]
    rounds = -(-len(values) // folds)
    deals = np.concatenate([rng.permutation(folds) for _ in range(rounds)])[: len(values)]
    if short := len(values) % folds:  # the last round is short: its folds are drawn, not the first ones
        deals[-short:] = rng.choice(folds, size=short, replace=False)
    assigned = np.empty(len(values), dtype=np.int64)
    assigned[ranked] = deals
    return assigned


def _balanced(
    values: NDArray[np.float64], folds: int, rng: np.random.Generator, groups: NDArray[np.int64]
) -> NDArray[np.int64]:
    histogram_GS = _strata_counts(values, groups)
    share_S = np.maximum(histogram_GS.sum(0), 1)
    share_S[-1] /= np.sqrt(len(share_S) - 1)  # sizes weigh as much as all strata together
    shuffled = rng.permutation(len(histogram_GS))
    telling = shuffled[np.argsort(-histogram_GS[shuffled].std(axis=1), kind="stable")]
    filled_FS = np.zeros((folds, histogram_GS.shape[1]))
    fold_of = np.empty(len(histogram_GS), dtype=np.int64)
    for group in telling:
        after_FS = (2 * filled_FS + histogram_GS[group]) * histogram_GS[group]  # growth of the sum of squares
        fold_of[group] = np.argmin((after_FS / share_S**2).sum(axis=1))
        filled_FS[fold_of[group]] += histogram_GS[group]
    return fold_of[groups]


def _strata_counts(values: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns how many videos of each group lie in each stratum of score; the last column counts all of them."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, STRATA + 1)[1:-1]))
    stratum = np.searchsorted(edges, values, side="right")
    counts = np.zeros((int(groups.max()) + 1, len(edges) + 2))
    np.add.at(counts, (groups, stratum), 1)
    counts[:, -1] = counts.sum(axis=1)
    return counts


def _numbered(groups: Sequence[str | None]) -> NDArray[np.int64]:
    """Returns the number of each video's group, by first occurrence; a video without one is its own."""
    numbers: dict[object, int] = {}
    keys = [("group", name) if name is not None else ("video", i) for i, name in enumerate(groups)]
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)
