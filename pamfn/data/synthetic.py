"""Planted data: features with the shape of the real sets and a known hidden process behind them (``hidden``).

A stream's features are what its modality shows of the hidden process, later by the modality's own lag, together with
nuisance processes that say nothing of the score, through a fixed random projection and a rectifier: non-negative, half
of them zero, of unit scale, much as deep networks give. The annotated score is a weighted sum of the parts' means over
the video, plus the annotators' noise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pamfn.data.features import FeatureSet
from pamfn.data.hidden import MODALITIES, Array, Performances, perform, process
from pamfn.data.schema import Schema
from pamfn.metrics import spearman
from pamfn.seeding import generator

VIDEOS_AN_ATHLETE = 5
ANNOTATORS = 0.35  # noise of the annotated score, relative to what the parts make of it
NUISANCE = 0.3  # strength of the nuisance processes
MEAN, SPREAD = 0.55, 0.16  # annotated scores as shares of C, before they are kept within it
KEPT = 0.02  # scores stay this share of C away from 0 and from C

# Shares of the parts in the variance of a score
TOTAL = {"common": 0.25, "rgb": 0.10, "flow": 0.10, "audio": 0.10, "contextual": 0.45}
TECHNICAL = {"common": 0.25, "rgb": 0.13, "flow": 0.13, "audio": 0.04, "contextual": 0.45}
COMPONENTS = {"common": 0.25, "rgb": 0.06, "flow": 0.06, "audio": 0.18, "contextual": 0.45}


@dataclass(frozen=True)
class Size:
    """Shape of a planted set.

    Args:
        actions: Action classes.
        train: Training videos a class.
        test: Test videos a class.
        segments: Fewest and most segments of a video.
        widths: Feature width D of each modality.
        scores: By name, the share of each part in its variance.
        largest: Largest score C.
        lags: Segments by which each modality shows things later.
        dwell: Mean segments before the context changes.
        nuisances: Nuisance processes a modality.
    """

    actions: tuple[str, ...]
    train: int
    test: int
    segments: tuple[int, int]
    widths: tuple[int, int, int]
    scores: dict[str, dict[str, float]]
    largest: float = 25.0
    lags: tuple[int, int, int] = (0, 1, 2)
    dwell: float = 16.0
    nuisances: int = 4


_RG = Size(("Ball", "Clubs", "Hoop", "Ribbon"), 200, 50, (55, 95), (1024, 1024, 768), {"total": TOTAL})
SIZES = {
    "tiny": replace(
        _RG,
        actions=("Ball", "Hoop"),
        train=60,
        test=30,
        segments=(16, 24),
        widths=(16, 16, 12),
        lags=(0, 0, 1),
        dwell=6.0,
        nuisances=1,
    ),
    "small": replace(_RG, train=120, test=40, widths=(64, 64, 48)),
    "rg": _RG,
    "fisv": Size(
        ("FISV",),
        400,
        100,
        (125, 165),
        (1024, 1024, 768),
        {"TES": TECHNICAL, "PCS": COMPONENTS},
        largest=45.0,
        dwell=30.0,
    ),
}


@dataclass(frozen=True, eq=False)
class Planted:
    """A planted set with the answers.

    Args:
        features: The videos.
        best: Best reachable Spearman correlation of each task: the action, or the score where there is one action.
        context: The hidden context of every row of ``features``, +1 or -1.
    """

    features: FeatureSet
    best: dict[str, float]
    context: NDArray[np.float64]


def generate(size: str, seed: int, control: bool = False) -> tuple[FeatureSet, dict[str, float]]:
    """Returns a planted set and the best reachable Spearman correlation of each task; see ``plant``."""
    planted = plant(size, seed, control)
    return planted.features, planted.best


def plant(size: str, seed: int, control: bool = False) -> Planted:
    """Makes a planted set.

    The best reachable correlation is that of the parts' weighted sum, without the annotators' noise, with the
    annotated score.

    The control has the same scores, the same RGB features bit for bit, and features of the same kind in the two other
    streams, but these show what RGB shows, each by its own projection and lag. So one stream holds as much as all:
    there is nothing to gain by fusing, and no stream shows the context that an adaptive fusion would follow. Its best
    reachable correlation is that of what RGB shows: the common part, RGB's own, and the best linear use of its poor
    copy of the contextual one.

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
    drawn = [_draw(shape, action, seed, control) for action in shape.actions]
    sets = [planted.features for planted in drawn]
    lengths = np.concatenate([features.lengths for features in sets])
    merged = FeatureSet(
        schema=sets[0].schema,
        video_ids=sum((features.video_ids for features in sets), ()),
        actions=sum((features.actions for features in sets), ()),
        splits=sum((features.splits for features in sets), ()),
        groups=sum((features.groups for features in sets), ()),
        scores={name: np.concatenate([features.scores[name] for features in sets]) for name in shape.scores},
        lengths=lengths,
        offsets=np.cumsum(lengths) - lengths,
        features={m: np.concatenate([features.features[m] for features in sets]) for m in MODALITIES},
    )
    best = {task: value for planted in drawn for task, value in planted.best.items()}
    return Planted(merged.sealed(), best, np.concatenate([planted.context for planted in drawn]))


def _draw(shape: Size, action: str, seed: int, control: bool) -> Planted:
    """Draws the videos of one action."""
    rng = generator(seed, "planted", action)
    videos = shape.train + shape.test
    athletes = np.arange(videos) // VIDEOS_AN_ATHLETE
    lengths = rng.integers(shape.segments[0], shape.segments[1] + 1, size=videos)
    before, steps = max(shape.lags), shape.segments[1]
    hidden = perform(rng, athletes, before + steps, shape.dwell)
    there_VT = np.arange(steps) < lengths[:, None]
    nuisances = {m: [process(rng, athletes, before + steps) for _ in range(shape.nuisances)] for m in MODALITIES}
    features = {}
    for modality, width, lag in zip(MODALITIES, shape.widths, shape.lags, strict=True):
        source = "rgb" if control else modality
        shown_VPT = np.concatenate([hidden.views[source], NUISANCE * np.stack(nuisances[source], axis=1)], axis=1)
        late_VTP = shown_VPT[..., before - lag : before - lag + steps].transpose(0, 2, 1)
        features[modality] = _encode(late_VTP[there_VT], width, generator(seed, "projection", modality))
    means = {part: _mean(process_VT[:, before:], there_VT) for part, process_VT in hidden.parts.items()}
    scores, best = {}, {}
    for name, shares in shape.scores.items():
        noiseless = _aggregate(means, shares)
        scores[name] = _annotate(noiseless, shape.largest, rng)
        visible = _aggregate(_seen_by_rgb(means, hidden, before, there_VT), shares) if control else noiseless
        best[action if len(shape.actions) > 1 else name] = spearman(visible, scores[name])
    return Planted(
        FeatureSet(
            schema=Schema(
                modalities=dict(zip(MODALITIES, shape.widths, strict=True)),
                scores=dict.fromkeys(shape.scores, shape.largest),
                extractors=dict.fromkeys(MODALITIES, "planted"),
            ),
            video_ids=tuple(f"{action}_{video + 1:03d}" for video in range(videos)),
            actions=(action,) * videos,
            splits=("train",) * shape.train + ("test",) * shape.test,
            groups=tuple(f"{action}_athlete_{athlete + 1:02d}" for athlete in athletes),
            scores=scores,
            lengths=lengths,
            offsets=np.cumsum(lengths) - lengths,
            features=features,
        ),
        best,
        hidden.context[:, before:][there_VT],
    )


def _encode(shown_SP: Array, width: int, rng: np.random.Generator) -> NDArray[np.float16]:
    """Projects what is shown to ``width`` rectified features."""
    processes = shown_SP.shape[1]
    projection_PD = rng.standard_normal((processes, width)) / np.sqrt(processes)
    bias_D = 0.3 * rng.standard_normal(width)
    return np.maximum(shown_SP @ projection_PD + bias_D, 0).astype(np.float16)


def _mean(process_VT: Array, there_VT: NDArray[np.bool_]) -> Array:
    """Returns the standardised mean of a process over each video."""
    mean_V = (process_VT * there_VT).sum(1) / there_VT.sum(1)
    return np.asarray((mean_V - mean_V.mean()) / mean_V.std())


def _aggregate(means: dict[str, Array], shares: dict[str, float]) -> Array:
    return np.asarray(sum(np.sqrt(share) * means[part] for part, share in shares.items() if part in means))


def _seen_by_rgb(
    means: dict[str, Array], hidden: Performances, before: int, there_VT: NDArray[np.bool_]
) -> dict[str, Array]:
    copy_V = _mean(hidden.views["rgb"][:, 2, before:], there_VT)
    return {
        "common": means["common"],
        "rgb": means["rgb"],
        "contextual": np.mean(copy_V * means["contextual"]) * copy_V,
    }


def _annotate(noiseless_V: Array, largest: float, rng: np.random.Generator) -> Array:
    """Returns scores as annotators would give them, in hundredths."""
    noisy_V = noiseless_V + ANNOTATORS * noiseless_V.std() * rng.standard_normal(len(noiseless_V))
    share_V = MEAN + SPREAD * noisy_V / noisy_V.std()
    return np.round(largest * np.clip(share_V, KEPT, 1 - KEPT), 2)
