"""Labelled segments: how well each matches what was made of the video, as YouTube Highlights annotates it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

HIGHLIGHTS = "highlights"
"""The score of a labelled video: the share of its segments that are highlights, of C = 1. It stratifies folds."""


def is_highlight(match: ArrayLike) -> NDArray[np.bool_]:
    """Returns which annotated segments are highlights: those whose match is above 0 (1 yes, 0 borderline, -1 no)."""
    return np.asarray(match, dtype=np.float64) > 0


def shares(match_S: ArrayLike, lengths_V: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns the share of highlights of each video, shape (V,); the segments stand video after video."""
    owner_S = np.repeat(np.arange(len(lengths_V)), lengths_V)
    found_V = np.bincount(owner_S, weights=is_highlight(match_S), minlength=len(lengths_V))
    return np.asarray(found_V / np.maximum(lengths_V, 1), dtype=np.float64)
