"""Replicas that train side by side, to be compared with each of them alone or in other company."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from pamfn.model.network import PAMFN
from pamfn.recipe import Recipe
from pamfn.replicas.noise import Noise
from pamfn.replicas.optimizer import Rate, ReplicaOptimizer
from pamfn.replicas.pack import Pack
from pamfn.replicas.segments import Segments

WIDTHS = {"rgb": 6, "flow": 5, "audio": 4}
STEPS, VIDEOS, CLIP = 4, 5, 14


class Company:
    """Replicas that train side by side; each one's videos, noise and weights come from its own seed.

    Args:
        settings: The settings.
        seeds: Seed of each replica.
        counts: K of each, where they differ.
        present: Which replicas have videos; the others' are absent.
        dtype: Precision.
    """

    def __init__(
        self,
        settings: Recipe,
        seeds: Sequence[int],
        *,
        counts: Sequence[int] | None = None,
        present: Sequence[bool] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.seeds, self.present, self.dtype = seeds, present or [True] * len(seeds), dtype
        self.network = PAMFN(settings, WIDTHS, seeds, fusion_nets=counts).to(dtype).train()
        self.network.fix(["rgb", "flow"])
        self.pack = Pack(self.network, self.network.fusion_axis, lambda name: name.startswith("head."))
        self.optimizer = ReplicaOptimizer(self.pack, kind="adamw")
        self.rate = Rate(1e-2, settings.weight_decay, 0.1, clip_norm=settings.clip_norm)
        self.losses: list[Tensor] = []
        self.gradients: list[Tensor] = []

    def batch(self, step: int) -> tuple[dict[str, Tensor], Segments]:
        """Returns clips of ragged videos; an absent one is zeros of length 0."""
        lengths = torch.tensor([[CLIP, 3, 8, CLIP, 1 + step]] * len(self.seeds))
        lengths[~torch.tensor(self.present)] = 0
        segments = Segments(CLIP, lengths)
        x = {}
        for place, (name, width) in enumerate(WIDTHS.items()):
            draws = [torch.Generator().manual_seed(100 * seed + 10 * step + place) for seed in self.seeds]
            rows = [torch.randn(VIDEOS, CLIP, width, dtype=torch.float64, generator=g) for g in draws]
            x[name] = segments.zeroed(torch.stack(rows).to(self.dtype))
        return x, segments

    def train(self, steps: range = range(STEPS), *, rates: Sequence[float] | None = None) -> Company:
        """Trains some steps towards targets of its own; returns itself."""
        for step in steps:
            self.optimizer.zero_grad()
            x, segments = self.batch(step)
            output = self.network(x, segments, Noise(self.seeds, [step] * len(self.seeds)))
            target = torch.linspace(0.1, 0.9, VIDEOS, dtype=self.dtype)
            there = segments.lengths_RB > 0
            loss_R = torch.where(there, output.score_RB - target, 0.0).square().sum(1)
            loss_R.sum().backward()
            self.losses.append(loss_R.detach())
            self.gradients.append(self.pack.grads_RP.clone())
            lrs = rates or [1e-2] * len(self.seeds)
            self.optimizer.step([dataclasses.replace(self.rate, lr=lr) for lr in lrs], self.present)
        return self

    def curve(self, replica: int) -> list[float]:
        return [float(loss[replica]) for loss in self.losses]


def assert_same(mine: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    """Asserts that two replicas are the same to the last bit."""
    assert mine.keys() == other.keys()
    for name, value in mine.items():
        assert torch.equal(value, other[name]), name


def assert_close(mine: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    """Asserts that two float64 replicas differ by rounding alone.

    A first stage that is computed from zeros makes full steps of rounding noise (see `MixedBlock.of_zeros`).
    """
    assert mine.keys() == other.keys()
    for name, value in mine.items():
        atol = 1e-6 if name.startswith("stages.0.mixed.") else 1e-9
        torch.testing.assert_close(value, other[name], rtol=0, atol=atol, msg=lambda m, n=name: f"{n}: {m}")
