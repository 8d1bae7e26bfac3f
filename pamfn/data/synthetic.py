"""Planted data: features with the shape of the real sets and a known hidden process behind them (``hidden``).

A stream's features are what its modality shows of the process, through a fixed random projection and a rectifier:
non-negative, half of them zero, of unit scale, much as deep networks give. An annotated score is a weighted sum of the
means that the parts of quality have over the video, plus the annotators' noise; in sets for highlight detection the
segments are marked instead (``planted_highlights``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from pamfn.data.features import FeatureSet
from pamfn.data.hidden import MODALITIES, SHOWN, Array, Performances, perform
from pamfn.data.planted_highlights import mark
from pamfn.data.planted_sizes import SIZES, Size
from pamfn.data.schema import Schema
from pamfn.highlights.labels import HIGHLIGHTS
from pamfn.metrics import spearman
from pamfn.seeding import generator

VIDEOS_AN_ATHLETE = 5
ANNOTATORS = 0.4  # the annotators' noise, relative to the spread of what they annotate
MEAN, SPREAD = 0.55, 0.16  # of the annotated scores, as shares of C
KEPT = 0.02  # scores stay this share of C away from 0 and from C


@dataclass(frozen=True, eq=False)
class Planted:
    """A planted set with the answers.

    Args:
        features: The videos.
        best: Best reachable Spearman correlation of each task, which is the action, or the score where there is one
            action; where segments are marked, the best reachable mean average precision.
        context: The hidden context of every row of ``features``: +1 where RGB is to be trusted, -1 where flow is.
    """

    features: FeatureSet
    best: dict[str, float]
    context: Array


def generate(size: str, seed: int, control: bool = False) -> tuple[FeatureSet, dict[str, float]]:
    """Returns a planted set and the best that is reachable for each task; see ``plant``."""
    planted = plant(size, seed, control)
    return planted.features, planted.best


def plant(size: str, seed: int, control: bool = False) -> Planted:
    """Makes a planted set.

    The best reachable correlation is that of the weighted sum of the parts, without the annotators' noise, with the
    annotated score.

    The control has the same scores, the same RGB features bit for bit, and features of the same kind in the two other
    streams, but these show what RGB shows, each by its own projection. So one stream holds as much as all: there is
    nothing to gain by fusing, and no stream shows the context that an adaptive fusion would follow. Its best reachable
    correlation is that of what RGB shows: the common part, RGB's own, and its poor copy of the contextual one, weighted
    as least squares would.

    Args:
        size: A key of ``SIZES``.
        seed: Seed of everything drawn.
        control: Without the structure that rewards fusion.

    Raises:
        ValueError: If there is no such size.
    """
    if size not in SIZES:
        raise ValueError(f"size: {size!r} is not one of {', '.join(SIZES)}")
    shape = SIZES[size]
    classes = [_plant_class(shape, action, seed, control) for action in shape.actions]
    best = {task: value for planted in classes for task, value in planted.best.items()}
    context = np.concatenate([planted.context for planted in classes])
    return Planted(_joined([planted.features for planted in classes]).sealed(), best, context)


def _plant_class(shape: Size, action: str, seed: int, control: bool) -> Planted:
    rng = generator(seed, "performances", action)
    athletes = np.arange(shape.train + shape.test) // VIDEOS_AN_ATHLETE
    lengths = rng.integers(shape.segments[0], shape.segments[1] + 1, size=len(athletes))
    there_VT = np.arange(shape.segments[1]) < lengths[:, None]
    hidden = perform(
        rng,
        athletes,
        shape.segments[1],
        lags=shape.lags,
        dwell=shape.dwell,
        nuisances=shape.nuisances,
        level=shape.level,
        memory=shape.memory,
    )
    annotated = (_marked if shape.marked else _scored)(hidden, shape, there_VT, rng, control)
    features = FeatureSet(
        schema=schema_of(shape),
        video_ids=tuple(f"{action}_{video + 1:03d}" for video in range(len(athletes))),
        actions=(action,) * len(athletes),
        splits=("train",) * shape.train + ("test",) * shape.test,
        groups=tuple(f"{action}_athlete_{athlete + 1:02d}" for athlete in athletes),
        scores=annotated.scores,
        lengths=lengths,
        offsets=np.cumsum(lengths) - lengths,
        features={
            modality: _encoded(hidden.views["rgb" if control else modality][there_VT], width, seed, modality)
            for modality, width in zip(MODALITIES, shape.widths, strict=True)
        },
        segment_labels=annotated.matches_S,
    )
    best = {action if len(shape.actions) > 1 else name: value for name, value in annotated.best.items()}
    return Planted(features, best, hidden.context[there_VT])


@dataclass(frozen=True, eq=False)
class _Annotated:
    """What annotators say of a class: scores of videos, matches of segments or None, and the best reachable."""

    scores: dict[str, Array]
    matches_S: NDArray[np.float32] | None
    best: dict[str, float]


def _scored(
    hidden: Performances, shape: Size, there_VT: NDArray[np.bool_], rng: np.random.Generator, control: bool
) -> _Annotated:
    noiseless = _noiseless_scores(hidden.parts, shape, there_VT)
    scores = {name: _annotated(values_V, shape.largest, rng) for name, values_V in noiseless.items()}
    visible = _visible_in_rgb(hidden, shape, there_VT) if control else noiseless
    return _Annotated(scores, None, {name: spearman(visible[name], scores_V) for name, scores_V in scores.items()})


def _marked(
    hidden: Performances, shape: Size, there_VT: NDArray[np.bool_], rng: np.random.Generator, control: bool
) -> _Annotated:
    seen = "rgb" if control else None
    found = mark(hidden, shape.scores[HIGHLIGHTS], there_VT, annotators=ANNOTATORS, visible_in=seen, rng=rng)
    return _Annotated({HIGHLIGHTS: found.scores_V}, found.matches_S, {HIGHLIGHTS: found.best})


def schema_of(shape: Size) -> Schema:
    """Returns what shards of planted data say of themselves, all but the digest of their content."""
    return Schema(
        modalities=dict(zip(MODALITIES, shape.widths, strict=True)),
        scores=dict.fromkeys(shape.scores, shape.largest),
        extractors=dict.fromkeys(MODALITIES, "planted"),
    )


def _encoded(shown_SP: Array, width: int, seed: int, modality: str) -> NDArray[np.float16]:
    """Returns ``width`` rectified features of every segment; the projection is the same for all classes."""
    rng = generator(seed, "projection", modality)
    processes = shown_SP.shape[1]
    projection_PD = rng.standard_normal((processes, width)) / np.sqrt(processes)
    bias_D = 0.3 * rng.standard_normal(width)
    return np.asarray(np.maximum(shown_SP @ projection_PD + bias_D, 0), dtype=np.float16)


def _noiseless_scores(parts: Mapping[str, Array], shape: Size, there_VT: NDArray[np.bool_]) -> dict[str, Array]:
    means = {part: _mean(process_VT, there_VT) for part, process_VT in parts.items()}
    return {
        name: np.asarray(sum(np.sqrt(share) * means[part] for part, share in shares.items()))
        for name, shares in shape.scores.items()
    }


def _visible_in_rgb(hidden: Performances, shape: Size, there_VT: NDArray[np.bool_]) -> dict[str, Array]:
    """Returns the part of each noiseless score that is linear in the means of what RGB shows."""
    places = [SHOWN.index(place) for place in ("common", "private", "contextual")]
    means_VP = np.stack([_mean(hidden.views["rgb"][..., place], there_VT) for place in places], axis=1)
    scores = _noiseless_scores(hidden.parts, shape, there_VT)
    return {name: means_VP @ np.linalg.lstsq(means_VP, values_V)[0] for name, values_V in scores.items()}


def _mean(process_VT: Array, there_VT: NDArray[np.bool_]) -> Array:
    """Returns the mean of a process over each video, standardised over the videos."""
    mean_V = process_VT.mean(axis=1, where=there_VT)
    return np.asarray((mean_V - mean_V.mean()) / mean_V.std())


def _annotated(noiseless_V: Array, largest: float, rng: np.random.Generator) -> Array:
    """Returns scores as annotators would give them, in hundredths."""
    noisy_V = noiseless_V / noiseless_V.std() + ANNOTATORS * rng.standard_normal(len(noiseless_V))
    share_V = MEAN + SPREAD * (noisy_V - noisy_V.mean()) / noisy_V.std()
    return np.asarray(np.round(largest * np.clip(share_V, KEPT, 1 - KEPT), 2))


def _joined(sets: Sequence[FeatureSet]) -> FeatureSet:
    lengths = np.concatenate([features.lengths for features in sets])
    labels = [features.segment_labels for features in sets if features.segment_labels is not None]
    return FeatureSet(
        schema=sets[0].schema,
        video_ids=tuple(chain.from_iterable(features.video_ids for features in sets)),
        actions=tuple(chain.from_iterable(features.actions for features in sets)),
        splits=tuple(chain.from_iterable(features.splits for features in sets)),
        groups=tuple(chain.from_iterable(features.groups for features in sets)),
        scores={name: np.concatenate([features.scores[name] for features in sets]) for name in sets[0].scores},
        lengths=lengths,
        offsets=np.cumsum(lengths) - lengths,
        features={name: np.concatenate([features.features[name] for features in sets]) for name in sets[0].features},
        segment_labels=np.concatenate(labels) if labels else None,
    )
