"""Small planted videos, recipes and trainings that the tests of all phases share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pamfn.data.bank import Bank
from pamfn.data.features import FeatureSet
from pamfn.data.schema import Schema
from pamfn.phases.branches import branch_settings, branch_states, branch_training
from pamfn.phases.fusion import fusion_training
from pamfn.phases.replica import Replica
from pamfn.phases.training import Training
from pamfn.recipe import Recipe, recipe

WIDTHS = {"rgb": 5, "flow": 4, "audio": 3}
VIDEOS = 40

States = Mapping[str, Sequence[Mapping[str, Tensor]]]

_PRETRAINED: dict[str, tuple[Bank, States]] = {}  # holds the bank as well, so that its id stays its own


def planted(
    seed: int = 0, *, dtype: type[np.floating[Any]] = np.float32, widths: Mapping[str, int] = WIDTHS
) -> FeatureSet:
    """Returns 40 videos of 3 to 12 segments whose score is the mean of their first RGB feature, within noise."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 13, VIDEOS)
    rows = int(lengths.sum())
    offsets = np.cumsum(lengths) - lengths
    quality = rng.uniform(-1, 1, VIDEOS)
    features = {name: rng.standard_normal((rows, width)) for name, width in widths.items()}
    features["rgb"][:, 0] += 2 * np.repeat(quality, lengths)
    return FeatureSet(
        schema=Schema(modalities=dict(widths), scores={"total": 25.0}),
        video_ids=tuple(f"v{i:02d}" for i in range(VIDEOS)),
        actions=("Ball",) * VIDEOS,
        splits=("train",) * VIDEOS,
        groups=(None,) * VIDEOS,
        scores={"total": np.round(12.5 + 8 * quality + rng.normal(0, 0.5, VIDEOS), 1)},
        lengths=lengths,
        offsets=offsets,
        features={name: values.astype(dtype) for name, values in features.items()},
    )


def small(preset: str = "paper", /, **changes: Any) -> Recipe:
    """Returns a preset at toy size: clips of 6 segments, batches of 4, four epochs of phase 2, two of phase 1."""
    shape = {"width": 4, "fusion_nets": 3, "stages": 2, "clip": 6, "batch_size": 4, "epochs": 4, "phase1_epochs": 2}
    return recipe(preset, **{**shape, **changes})


def replica(features: FeatureSet, train: int, *, first: int = 0, seed: int = 1, task: str = "Ball") -> Replica:
    """Returns a replica that trains on ``train`` videos from ``first`` on, and is scored on the eight after them."""
    return Replica(
        name=f"{task}/fold0/seed{seed}",
        task=task,
        fold=0,
        seed=seed,
        train=np.arange(first, first + train),
        valid=np.arange(first + train, first + train + 8),
        scores_V=features.scores["total"],
        largest=25.0,
    )


def pretrained(settings: Recipe, replicas: Sequence[Replica], bank: Bank) -> States:
    """Returns a phase-1 branch of every modality for every replica."""
    states = {}
    for modality in bank.widths:
        training = branch_training(settings, modality, replicas, bank)
        list(training.run([1.0], score=False))
        states[modality] = branch_states(training)
    return states


def training_of(phase: str, settings: Recipe, replicas: Sequence[Replica], bank: Bank) -> Training:
    """Returns a fresh training of ``phase1`` (RGB), ``phase2`` or ``one``; branches are pretrained once for all."""
    if phase == "phase1":
        return branch_training(settings, "rgb", replicas, bank)
    if phase == "one":
        return fusion_training(settings, replicas, bank, None)
    key = repr((branch_settings(settings), [(r.seed, r.train.tolist()) for r in replicas], id(bank)))
    if key not in _PRETRAINED:
        _PRETRAINED[key] = bank, pretrained(settings, replicas, bank)
    return fusion_training(settings, replicas, bank, _PRETRAINED[key][1])


def settings_of(phase: str, preset: str = "paper", /, **changes: Any) -> Recipe:
    """Returns the toy recipe of a phase."""
    return small(preset, **{"phases": "one" if phase == "one" else "two", **changes})


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Tells whether two state dicts hold the same names and the same bits."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
