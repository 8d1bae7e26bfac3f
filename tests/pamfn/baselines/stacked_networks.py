"""Small stacked networks of branches, videos for them, and a few steps of training in company."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from pamfn.replicas.noise import Noise
from pamfn.replicas.optimizer import Rate, ReplicaOptimizer
from pamfn.replicas.pack import Pack
from pamfn.replicas.segments import Segments

WIDTHS = {"rgb": 6, "flow": 5, "audio": 4}
CLIP = 14


@torch.no_grad()
def stirred(network: nn.Module, seed: int = 5) -> nn.Module:
    """Returns a network in float64 without a zero bias, equal logits or fresh statistics that could hide a fault."""
    draws = torch.Generator().manual_seed(seed)
    for name, tensor in [*network.double().named_parameters(), *network.named_buffers()]:
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5, generator=draws)
        elif tensor.is_floating_point():
            tensor.add_(torch.empty_like(tensor).uniform_(-0.4, 0.4, generator=draws))
    return network


def clips(
    seeds: Sequence[int], lengths: Sequence[int], *, steps: int = CLIP, dtype: torch.dtype = torch.float64
) -> tuple[dict[str, Tensor], Segments]:
    """Returns videos of these lengths for every replica, drawn from its own seed and zero-padded."""
    segments = Segments(steps, torch.tensor([list(lengths)] * len(seeds)))
    x = {}
    for place, (name, width) in enumerate(WIDTHS.items()):
        draws = [torch.Generator().manual_seed(100 * seed + place) for seed in seeds]
        rows = [torch.randn(len(lengths), 40, width, dtype=torch.float64, generator=g)[:, :steps] for g in draws]
        x[name] = segments.zeroed(torch.stack(rows).to(dtype))
    return x, segments


class Trained:
    """Replicas that have trained side by side for a few steps.

    Args:
        build: Makes the network from the seeds of its replicas.
        seeds: Seed of each replica's weights, videos and noise.
        steps: How many.
        dtype: Precision.
        spoil: Changes the network before.
    """

    def __init__(
        self,
        build: Callable[[Sequence[int]], nn.Module],
        seeds: Sequence[int],
        *,
        steps: int = 3,
        dtype: torch.dtype = torch.float32,
        spoil: Callable[[nn.Module], None] = lambda network: None,
    ) -> None:
        self.network = build(seeds).to(dtype).train()
        spoil(self.network)
        pack = Pack(self.network, None, lambda name: name.startswith("head."))
        optimizer, rate = ReplicaOptimizer(pack, kind="sgd"), Rate(0.1, 1e-4, 0.1, clip_norm=0.5)
        self.losses: list[Tensor] = []
        for step in range(steps):
            optimizer.zero_grad()
            x, segments = clips([seed + step for seed in seeds], (CLIP, 3, 8, 1), dtype=dtype)
            output = self.network(x, segments, Noise(seeds, [step] * len(seeds)))
            loss_R = (output.score_RB - torch.linspace(0.1, 0.9, 4, dtype=dtype)).square().sum(1)
            loss_R.sum().backward()
            self.losses.append(loss_R.detach())
            optimizer.step([dataclasses.replace(rate)] * len(seeds), [True] * len(seeds))

    def curve(self, replica: int) -> list[float]:
        """Returns a replica's losses."""
        return [float(loss[replica]) for loss in self.losses]
