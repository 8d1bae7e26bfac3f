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

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Array = NDArray[np.float64]
MODALITIES = ("rgb", "flow", "audio")
PARTS = ("common", *MODALITIES, "contextual")
SHOWN = ("common", "private", "contextual", "context")  # the places of a view, before its nuisances

LEVEL = 0.8  # share of a process's variance that lasts for the whole video; the rest varies within it
ATHLETE = 0.2  # share of the level that an athlete's videos have in common
MEMORY = 0.9  # correlation of what varies within a video from one segment to the next
MISLEADING = 0.5  # how much of the contextual part the modality not to be trusted shows, negated
CONTEXT = 2.0  # strength of the context in what audio shows; the other places have variance 1
NUISANCE = 0.3  # strength of the nuisances, which say nothing of quality
NOISE = 0.1  # strength of each modality's own noise, half of whose variance lasts for the whole video


@dataclass(frozen=True)
class Performances:
    """Hidden processes of V videos over T time steps.

    Args:
        parts: Quality by part (``PARTS``), each of variance 1, shape (V, T).
        context: +1 where RGB is to be trusted with the contextual part, -1 where flow is, shape (V, T).
        views: What each modality shows, shape (V, T, P): the places ``SHOWN``, then its nuisances. A place for which a
            modality has nothing to show holds clutter of the same kind.
    """

    parts: dict[str, Array]
    context: Array
    views: dict[str, Array]


def perform(
    rng: np.random.Generator,
    athletes: NDArray[np.int64],
    steps: int,
    *,
    lags: Sequence[int],
    dwell: float,
    nuisances: int,
    level: float = LEVEL,
    memory: float = MEMORY,
) -> Performances:
    """Draws performances.

    Args:
        rng: Source of randomness.
        athletes: Athlete of each video, shape (V,).
        steps: Time steps T.
        lags: Steps by which each modality shows things later.
        dwell: Mean number of steps before the context changes.
        nuisances: Nuisance processes a modality.
        level: Share of a process's variance that lasts for the whole video.
        memory: Correlation of what varies within a video from one segment to the next.
    """
    before = max(lags)
    parts = {part: _process(rng, athletes, before + steps, level, memory) for part in PARTS}
    context_VT = _contexts(rng, len(athletes), before + steps, dwell)
    views = {}
    for modality, lag in zip(MODALITIES, lags, strict=True):
        clutter = [_process(rng, athletes, before + steps, level, memory) for _ in range(2 + nuisances)]
        shown_VPT = np.stack(_shown(modality, parts, context_VT, clutter), axis=1)
        shown_VPT += NOISE * _noise(rng, shown_VPT.shape)
        views[modality] = shown_VPT[..., before - lag : before - lag + steps].swapaxes(1, 2)
    return Performances({part: p[:, before:] for part, p in parts.items()}, context_VT[:, before:], views)


def _shown(modality: str, parts: dict[str, Array], context_VT: Array, clutter: Sequence[Array]) -> list[Array]:
    """Returns what a modality shows at the time it happens, each of shape (V, T)."""
    contextual, context, *nuisances = clutter
    if modality == "audio":
        context = CONTEXT * context_VT
    else:
        trusted = context_VT > 0 if modality == "rgb" else context_VT < 0
        misleading = np.sqrt(1 - MISLEADING**2) * contextual - MISLEADING * parts["contextual"]
        contextual = np.where(trusted, parts["contextual"], misleading)
    return [parts["common"], parts[modality], contextual, context, *(NUISANCE * nuisance for nuisance in nuisances)]


def _process(rng: np.random.Generator, athletes: NDArray[np.int64], steps: int, level: float, memory: float) -> Array:
    """Draws one process of variance 1: a level by athlete, one by video, and what varies within it; shape (V, T)."""
    of_athlete = rng.standard_normal(int(athletes.max()) + 1)[athletes]
    level_V = np.sqrt(ATHLETE) * of_athlete + np.sqrt(1 - ATHLETE) * rng.standard_normal(len(athletes))
    varying_VT = _varying(rng, (len(athletes), steps), memory)
    return np.asarray(np.sqrt(level) * level_V[:, None] + np.sqrt(1 - level) * varying_VT)


def _varying(rng: np.random.Generator, shape: tuple[int, ...], memory: float) -> Array:
    """Draws a stationary first-order autoregression of variance 1 along the last axis."""
    shocks = rng.standard_normal(shape)
    shocks[..., 1:] *= np.sqrt(1 - memory**2)
    return np.asarray(lfilter([1.0], [1.0, -memory], shocks, axis=-1))


def _noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    lasting = rng.standard_normal((*shape[:-1], 1))
    return np.asarray(np.sqrt(0.5) * (lasting + rng.standard_normal(shape)))


def _contexts(rng: np.random.Generator, videos: int, steps: int, dwell: float) -> Array:
    first = rng.choice([-1.0, 1.0], size=(videos, 1))
    changes_VT = np.cumsum(rng.random((videos, steps)) < 1 / dwell, axis=1)
    return np.asarray(first * np.where(changes_VT % 2, -1.0, 1.0))
