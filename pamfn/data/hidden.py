"""The hidden process behind the planted data: what happens in a performance, and what each modality shows of it.

Five parts of quality change over a performance: one that every modality shows (``common``), one that only RGB, only
flow and only audio shows, and one (``contextual``) whose sign depends on the context of the segment, which audio alone
shows. In one context RGB shows the contextual part as it is and flow shows it misleadingly, partly negated and partly
replaced by clutter of the same kind; in the other context the roles are changed. So

- one modality alone sees the common part, its own, and a poor copy of the contextual one;
- a fixed weighting of modalities adds the other private parts, and still a poor copy of the contextual one;
- a weighting that follows the context, segment by segment, sees all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Array = NDArray[np.float64]
MODALITIES = ("rgb", "flow", "audio")
PARTS = ("common", *MODALITIES, "contextual")

LEVEL = 0.8  # share of a part's variance that lasts for the whole video; the rest varies within it
ATHLETE = 0.2  # share of the level that an athlete's videos have in common
MEMORY = 0.9  # correlation of what varies within a video from one segment to the next
MISLEADING = 0.5  # how much of the contextual part the modality not to be trusted shows, negated
CONTEXT = 1.5  # strength of the context in what audio shows; everything else has variance 1
NOISE = 0.15  # of each modality's view, own to the modality; variance 1 times this squared, partly lasting


@dataclass(frozen=True)
class Performances:
    """Hidden processes of V videos over T time steps, every one of variance 1.

    Args:
        parts: Quality by part (``PARTS``), shape (V, T).
        context: +1 where RGB is to be trusted with the contextual part, -1 where flow is.
        views: What each modality shows, shape (V, 4, T): common, private, contextual, context. A place for which the
            modality has nothing to show holds clutter of the same kind.
    """

    parts: dict[str, Array]
    context: Array
    views: dict[str, Array]


def perform(rng: np.random.Generator, athletes: NDArray[np.int64], steps: int, dwell: float) -> Performances:
    """Draws performances.

    Args:
        rng: Source of randomness.
        athletes: Athlete of each video, shape (V,).
        steps: Time steps T.
        dwell: Mean number of steps before the context changes.
    """
    parts = {part: process(rng, athletes, steps) for part in PARTS}
    context_VT = _contexts(rng, len(athletes), steps, dwell)
    trusted = {"rgb": context_VT > 0, "flow": context_VT < 0}
    views = {}
    for modality in MODALITIES:
        clutter = [process(rng, athletes, steps) for _ in range(2)]
        contextual, context = clutter
        if modality in trusted:
            misleading = -MISLEADING * parts["contextual"] + np.sqrt(1 - MISLEADING**2) * clutter[0]
            contextual = np.where(trusted[modality], parts["contextual"], misleading)
        else:
            context = CONTEXT * context_VT
        shown_V4T = np.stack([parts["common"], parts[modality], contextual, context], axis=1)
        views[modality] = shown_V4T + NOISE * _noise(rng, shown_V4T.shape)
    return Performances(parts, context_VT, views)


def process(rng: np.random.Generator, athletes: NDArray[np.int64], steps: int) -> Array:
    """Draws one process of variance 1: a level by athlete, one by video, and what varies within it; shape (V, T)."""
    of_athlete = rng.standard_normal(int(athletes.max()) + 1)[athletes]
    level_V = np.sqrt(ATHLETE) * of_athlete + np.sqrt(1 - ATHLETE) * rng.standard_normal(len(athletes))
    return np.sqrt(LEVEL) * level_V[:, None] + np.sqrt(1 - LEVEL) * _varying(rng, (len(athletes), steps))


def _noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    lasting = rng.standard_normal((*shape[:-1], 1))
    return np.sqrt(0.5) * lasting + np.sqrt(0.5) * rng.standard_normal(shape)


def _varying(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draws a stationary first-order autoregression of variance 1 along the last axis."""
    shocks = np.sqrt(1 - MEMORY**2) * rng.standard_normal(shape)
    shocks[..., 0] /= np.sqrt(1 - MEMORY**2)
    return np.asarray(lfilter([1.0], [1.0, -MEMORY], shocks, axis=-1))


def _contexts(rng: np.random.Generator, videos: int, steps: int, dwell: float) -> Array:
    first = rng.choice([-1.0, 1.0], size=(videos, 1))
    changes_VT = np.cumsum(rng.random((videos, steps)) < 1 / dwell, axis=1)
    return first * np.where(changes_VT % 2, -1.0, 1.0)
