"""What the speed benchmarks train on: data of the published shapes, and our training on them.

Features are random numbers of the shapes of ``pamfn.data.planted_sizes``: time does not ask what they mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pamfn.data.bank import Bank
from pamfn.data.planted_sizes import SIZES
from pamfn.model.network import build_branch
from pamfn.phases.fusion import fusion_training
from pamfn.phases.memory import cache_room
from pamfn.phases.replica import Replica
from pamfn.phases.training import Training
from pamfn.recipe import Recipe, recipe
from pamfn.replicas.cut import cut, initialise

CLIPS = {"rg": 70, "small": 70, "fisv": 130, "tiny": 16}
NETS = {"rg": 10, "small": 10, "fisv": 6, "tiny": 3}
EPOCHS = 100_000  # a budget that no measurement reaches
MODALITIES = ("rgb", "flow", "audio")


@dataclass(frozen=True)
class Workload:
    """Videos of one shape, and how they are trained on.

    Attributes:
        settings: The recipe.
        videos: Features of each video by modality, (T, D).
        scores_V: Annotated scores.
        largest: C.
    """

    settings: Recipe
    videos: list[dict[str, np.ndarray[Any, np.dtype[np.float32]]]]
    scores_V: np.ndarray[Any, np.dtype[np.float64]]
    largest: float

    @classmethod
    def of(cls, size: str, count: int, **changes: Any) -> Workload:
        """Returns ``count`` videos of a planted size, with the paper's settings for it and changes."""
        shape, rng = SIZES[size], np.random.default_rng(0)
        lengths = rng.integers(shape.segments[0], shape.segments[1] + 1, size=count)
        videos = [
            {
                name: np.maximum(rng.standard_normal((length, width), dtype=np.float32), 0)
                for name, width in zip(MODALITIES, shape.widths, strict=True)
            }
            for length in lengths
        ]
        settings = recipe(**{"clip": CLIPS[size], "fusion_nets": NETS[size], "epochs": EPOCHS, **changes})
        return cls(settings, videos, rng.uniform(0.2, 0.9, size=count) * shape.largest, shape.largest)

    @property
    def widths(self) -> dict[str, int]:
        """Width of each modality's features."""
        return {name: x_TD.shape[1] for name, x_TD in self.videos[0].items()}

    def bank(self, device: str) -> Bank:
        """Returns the features in a device's memory."""
        lengths = np.array([len(video["rgb"]) for video in self.videos])
        rows = {
            name: torch.from_numpy(np.concatenate([*(v[name] for v in self.videos), np.zeros((1, width), np.float32)]))
            for name, width in self.widths.items()
        }
        where = torch.from_numpy(np.cumsum(lengths) - lengths).to(device)
        return Bank({n: x.to(device) for n, x in rows.items()}, where, torch.from_numpy(lengths).to(device))

    def targets(self, device: str) -> Tensor:
        """Returns score / C of every video."""
        return torch.tensor(self.scores_V / self.largest, dtype=torch.float32, device=device)

    def training(
        self,
        bank: Bank,
        parts: Sequence[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]],
        *,
        kept: bool = True,
        precision: str = "float32",
    ) -> Training:
        """Returns our phase-2 training, a replica for each (training, held-out) part, on branches of fresh weights.

        Args:
            bank: The features.
            parts: Videos of each replica.
            kept: Whether to keep what the fixed branches say of every clip, as an engine does where there is room.
            precision: ``bf16``, or what torch is set to.
        """
        everyone = [
            Replica(f"Ball/fold{i}/seed0", "Ball", i, i + 1, train, valid, self.scores_V, self.largest)
            for i, (train, valid) in enumerate(parts)
        ]
        states = {}
        for name, width in bank.widths.items():
            branch = build_branch(self.settings, name, width, len(everyone))
            initialise(branch, [r.seed for r in everyone])
            states[name] = [cut(branch, row) for row in range(len(everyone))]
        room = cache_room(bank.device) if kept else 0
        return fusion_training(self.settings, everyone, bank, states, room=room, precision=precision)


class Epochs:
    """Our training, an epoch a call.

    Args:
        training: A fresh training.
        score: Whether to score the held-out videos after each epoch.
    """

    def __init__(self, training: Training, *, score: bool = False) -> None:
        self._training, self._score, self._done = training, score, 0

    def epoch(self) -> list[float]:
        """Trains every replica over its videos once; returns their losses."""
        self._done += 1
        (report,) = self._training.run([self._done / EPOCHS], score=self._score)
        return report.losses
