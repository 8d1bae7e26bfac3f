"""The FusionNet axis: the K FusionNets of every replica in one flat axis, also where K differs between replicas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

MOST_NETS = 64  # bounds K, so that the noise of FusionNet k does not depend on its neighbours' K


class FusionAxis(nn.Module):
    """Index maps between replicas and a flat axis F = K_1 + ... + K_R of FusionNets.

    A small replica beside a large one computes only its own FusionNets; only what is as cheap as logits is padded
    to the largest K. A padded place points at a FusionNet of its own replica, so that a NaN cannot leave its replica.

    Args:
        counts: K of every replica.

    Raises:
        ValueError: If there is no replica, or a K is outside 1 to 64.
    """

    replica_F: Tensor
    slot_RK: Tensor
    place_F: Tensor
    enabled_RK: Tensor

    def __init__(self, counts: Sequence[int]) -> None:
        super().__init__()
        self._maps: dict[tuple[int, int, int], dict[str, Tensor]] = {}
        self.assign(counts)

    def assign(self, counts: Sequence[int]) -> None:
        """Says anew whose FusionNets are whose: the first K_1 the first replica's, the next K_2 the second's."""
        if not counts or min(counts) < 1 or max(counts) > MOST_NETS:
            raise ValueError(f"fusion_nets: {list(counts)} must be one number of 1 to {MOST_NETS} for each replica")
        device = self.replica_F.device if hasattr(self, "replica_F") else torch.device("cpu")
        self.counts = tuple(int(k) for k in counts)
        self.most = max(self.counts)
        self.total = sum(self.counts)
        self.uniform = len(set(self.counts)) == 1
        counts_R1 = np.array(self.counts)[:, None]
        rank_RK = np.arange(self.most)[None].repeat(len(self.counts), 0)
        enabled_RK = rank_RK < counts_R1
        maps = {
            "replica_F": np.arange(len(self.counts)).repeat(self.counts),
            "slot_RK": np.cumsum(counts_R1)[:, None] - counts_R1 + rank_RK * enabled_RK,
            "place_F": enabled_RK.ravel().nonzero()[0],
            "enabled_RK": enabled_RK,
        }
        kept = self._maps.setdefault((len(self.counts), self.total, self.most), {})
        for name, array in maps.items():  # equal shapes have equal places, which a recorded step relies on
            tensor = torch.from_numpy(array)
            if name not in kept or kept[name].device != device:
                kept[name] = tensor.to(device)
            self.register_buffer(name, kept[name].copy_(tensor), persistent=False)

    def rows(self, replica: int) -> slice:
        """Returns the rows of one replica's FusionNets in the flat axis."""
        start = sum(self.counts[:replica])
        return slice(start, start + self.counts[replica])

    def by_replica(self, x_F: Tensor) -> Tensor:
        """Returns (F, ...) as (R, K, ...), K the largest; padded places repeat the replica's first FusionNet."""
        if self.uniform:
            return torch.unflatten(x_F, 0, (len(self.counts), self.most))
        return torch.unflatten(x_F.index_select(0, self.slot_RK.flatten()), 0, (len(self.counts), self.most))

    def by_net(self, x_RK: Tensor) -> Tensor:
        """Returns (R, K, ...) as (F, ...), dropping the padded places."""
        flat = x_RK.flatten(0, 1)
        return flat if self.uniform else flat.index_select(0, self.place_F)

    def spread(self, x_R: Tensor) -> Tensor:
        """Returns what every FusionNet's replica has, (R, ...) as (F, ...)."""
        return x_R.index_select(0, self.replica_F)
