"""Small marked videos, recipes and replicas that the tests of highlight detection share."""

from __future__ import annotations

from typing import Any

import numpy as np

from pamfn.data.features import FeatureSet
from pamfn.data.schema import Schema
from pamfn.phases.replica import Replica
from pamfn.recipe import Recipe, recipe

WIDTHS = {"rgb": 5, "flow": 4, "audio": 3}
VIDEOS = 20
CLIP = 8  # shorter than some of the videos


def marked(seed: int = 0, *, dtype: Any = np.float32) -> FeatureSet:
    """Returns 20 videos of 2 to 11 segments; those whose first RGB and first audio feature are high are highlights."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, 12, VIDEOS)
    rows = int(lengths.sum())
    features = {name: rng.standard_normal((rows, width)) for name, width in WIDTHS.items()}
    stands_out = features["rgb"][:, 0] + features["audio"][:, 0]
    matches = np.select([stands_out > 0.7, stands_out > 0.3], [1.0, 0.0], -1.0).astype(np.float32)
    offsets = np.cumsum(lengths) - lengths
    return FeatureSet(
        schema=Schema(modalities=dict(WIDTHS), scores={"highlights": 1.0}),
        video_ids=tuple(f"v{i:02d}" for i in range(VIDEOS)),
        actions=("dog",) * VIDEOS,
        splits=("train",) * VIDEOS,
        groups=(None,) * VIDEOS,
        scores={"highlights": np.add.reduceat(matches > 0, offsets) / lengths},
        lengths=lengths,
        offsets=offsets,
        features={name: values.astype(dtype) for name, values in features.items()},
        segment_labels=matches,
    )


def small(**changes: Any) -> Recipe:
    """Returns the paper's settings for highlights at toy size: four epochs of phase 2, two of phase 1."""
    shape = {"width": 4, "fusion_nets": 3, "stages": 2, "clip": CLIP, "epochs": 4, "phase1_epochs": 2}
    return recipe("highlights", **{**shape, **changes})


def replica(features: FeatureSet, train: int = 6, *, first: int = 0, seed: int = 1) -> Replica:
    """Returns a replica that trains on ``train`` videos from ``first`` on, and is scored on the five after them."""
    return Replica(
        name=f"dog/fold0/seed{seed}",
        task="dog",
        fold=0,
        seed=seed,
        train=np.arange(first, first + train),
        valid=np.arange(first + train, first + train + 5),
        scores_V=features.scores["highlights"],
        largest=1.0,
    )
