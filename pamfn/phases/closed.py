"""The training of models that a formula fits: all at once, at the first milestone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pamfn.architectures import build_network
from pamfn.baselines.closed_networks import ClosedNetworks
from pamfn.data.bank import Bank
from pamfn.phases.replica import Replica
from pamfn.phases.report import Report, milestone_epoch
from pamfn.phases.scoring import correlate, predict
from pamfn.phases.target import Target, fit_target
from pamfn.recipe import Recipe

AT_ONCE = 64  # videos that are averaged in one batch


class ClosedTraining:
    """Replicas of a closed form, with the methods of `pamfn.phases.training.Training`.

    Args:
        recipe: The settings.
        replicas: One machine for each.
        bank: The features, with the streams that the model reads.
    """

    def __init__(self, recipe: Recipe, replicas: Sequence[Replica], bank: Bank) -> None:
        self.replicas, self._recipe = list(replicas), recipe
        self._bank = bank.only(*recipe.streams(tuple(bank.widths)))
        self.network = cast("ClosedNetworks", build_network(recipe, self._bank.widths, [r.seed for r in replicas]))
        self.targets: list[Target] = [fit_target(recipe.target, r.scores_V[r.train], r.largest) for r in replicas]
        self._losses = [math.nan] * len(replicas)

    def run(self, milestones: Iterable[float], *, score: bool = True) -> Iterator[Report]:
        """Fits what is not fitted yet, and yields a report at every milestone.

        Args:
            milestones: Ascending shares of the full budget, each in (0, 1].
            score: Whether to score the held-out videos at the milestones.
        """
        for progress in milestones:
            for row, state in enumerate(self.network.states):
                if not state:
                    self._fit(row)
            epochs = [milestone_epoch(progress, self._recipe.epochs_of(replica.task)) for replica in self.replicas]
            nothing = [False] * len(self.replicas)
            found, constant = correlate(self.predict(), self.replicas) if score else ([], nothing)
            yield Report(progress, epochs, list(self._losses), found, constant, [""] * len(self.replicas))

    def predict(self, videos: Sequence[NDArray[np.int64]] | None = None) -> list[NDArray[np.float64]]:
        """Scores videos, each replica's held-out ones by default; in [0, 1]."""
        asked = [replica.valid for replica in self.replicas] if videos is None else videos
        return predict(self.network, self._bank, asked)

    def state(self, replica: int) -> dict[str, Tensor]:
        """Returns all that one replica needs to go on: what was fitted."""
        mine = {f"weights/{name}": value for name, value in self.network.states[replica].items()}
        loss = torch.tensor(self._losses[replica], dtype=torch.float64)
        return {**mine, "optimizer/loss": loss, "step": torch.tensor(int(bool(mine)))}

    def restore(self, replica: int, state: Mapping[str, Tensor]) -> None:
        """Puts back what `state` returned."""
        prefix = "weights/"
        self.network.states[replica] = {
            name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
        }
        self._losses[replica] = float(state.get("optimizer/loss", math.nan))

    def whole(self, replica: int) -> dict[str, Tensor]:
        """Returns what was fitted for a replica."""
        return dict(self.network.states[replica])

    @property
    def parameters(self) -> int:
        """Numbers that were fitted for the first replica; 0 before."""
        return sum(value.numel() for value in self.network.states[0].values())

    def _fit(self, row: int) -> None:
        """Fits one replica to its training videos; its loss is the mean squared error on them."""
        replica, machine = self.replicas[row], self.network.machine
        x_VD, wanted_V = self._pooled(replica.train), self.targets[row].encode(replica.scores_V[replica.train])
        state = machine.fit(x_VD, wanted_V)
        self.network.states[row] = state
        self._losses[row] = float(np.square(machine.predict(state, x_VD) - wanted_V).mean())

    def _pooled(self, videos: NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns what the machine reads of whole videos, (V, D)."""
        parts = []
        for some in np.array_split(videos, -(-len(videos) // AT_ONCE)):
            x, lengths_RB = self._bank.whole(torch.from_numpy(some)[None])
            host = {name: of[0].cpu().numpy() for name, of in x.items()}
            parts.append(self.network.machine.pooled(host, lengths_RB[0].cpu().numpy()))
        return np.concatenate(parts)
