"""One step of plain training: a loop over networks, and the same networks under ``torch.func.vmap``."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from plain_pamfn import PlainPAMFN
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.nn import functional

from pamfn.data.bank import Bank
from pamfn.recipe import Recipe


class Batches:
    """Shuffled batches of random clips, gathered from features in memory.

    Args:
        bank: The features.
        targets_V: What to predict of each video.
        videos: How many of the bank's videos to train on, from the first.
        settings: Batch size and clip.
    """

    def __init__(self, bank: Bank, targets_V: Tensor, videos: int, settings: Recipe) -> None:
        self._bank, self._targets_V, self._videos = bank, targets_V, videos
        self._size, self._clip = settings.batch_size, settings.clip
        self._places_V = (bank.lengths_V[:videos] - settings.clip).clamp(min=0) + 1

    def order(self) -> tuple[Tensor, Tensor]:
        """Returns an epoch's videos and the first segment of each one's clip, (steps, B) each."""
        order = torch.randperm(self._videos, device=self._bank.device)
        starts = (torch.rand(self._videos, device=self._bank.device) * self._places_V).long()[order]
        return order.view(-1, self._size), starts.view(-1, self._size)

    def gather(self, videos_RB: Tensor, starts_RB: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Returns features (R, B, T, D) by modality and targets (R, B)."""
        return self._bank.clips(videos_RB, starts_RB, self._clip)[0], self._targets_V[videos_RB]


def optimiser(parameters: Mapping[str, Tensor], settings: Recipe) -> torch.optim.Optimizer:
    """Returns AdamW as torch sets it up by default, with the head at its own rate."""
    trained = {name: parameter for name, parameter in parameters.items() if parameter.requires_grad}
    groups: list[dict[str, Any]] = [
        {"params": [p for n, p in trained.items() if not n.startswith("head.")]},
        {
            "params": [p for n, p in trained.items() if n.startswith("head.")],
            "lr": settings.lr * settings.head_lr_scale,
        },
    ]
    return torch.optim.AdamW(groups, lr=settings.lr, weight_decay=settings.weight_decay)


class Loop:
    """R networks, one after the other.

    Args:
        networks: The networks, on the batches' device.
        batches: Where their batches come from.
        settings: The recipe.
    """

    def __init__(self, networks: Sequence[PlainPAMFN], batches: Batches, settings: Recipe) -> None:
        self._batches = batches
        self._pairs = [(network, optimiser(dict(network.named_parameters()), settings)) for network in networks]

    def epoch(self) -> list[float]:
        """Trains every network over its videos once; returns their mean losses."""
        losses = []
        for network, optimizer in self._pairs:
            network.train()
            total = torch.zeros((), device=next(network.parameters()).device)
            videos_SB, starts_SB = self._batches.order()
            for videos_B, starts_B in zip(videos_SB, starts_SB, strict=True):
                x, targets = self._batches.gather(videos_B[None], starts_B[None])
                total += train_step(network, optimizer, {name: of[0] for name, of in x.items()}, targets[0])
            losses.append(total / len(videos_SB))
        return [float(loss) for loss in losses]


def train_step(network: nn.Module, optimizer: torch.optim.Optimizer, x: dict[str, Tensor], targets_B: Tensor) -> Tensor:
    """Takes one step; returns the loss."""
    optimizer.zero_grad()
    loss = functional.mse_loss(network(x), targets_B)
    torch.autograd.backward(loss)
    optimizer.step()
    return loss.detach()


class Vmapped:
    """R networks as one call of ``torch.func.vmap`` over their stacked weights.

    Batch norm's running statistics are stacked as well and updated in place, each network's own; dropout and Gumbel
    noise differ between networks. The gradient is autograd's of the summed losses.

    Args:
        networks: As for `Loop`.
        batches: As for `Loop`.
        settings: The recipe.
    """

    def __init__(self, networks: Sequence[PlainPAMFN], batches: Batches, settings: Recipe) -> None:
        self._batches, self._rows = batches, len(networks)
        self._weights, self._buffers = stack_module_state(list(networks))
        self._network = copy.deepcopy(networks[0]).train()
        self._optimizer = optimiser(self._weights, settings)
        self._forward = torch.vmap(self._score, randomness="different")

    def epoch(self) -> list[float]:
        """Trains every network over its videos once; returns their mean losses."""
        drawn = [self._batches.order() for _ in range(self._rows)]
        videos_SRB, starts_SRB = (torch.stack(of, dim=1) for of in zip(*drawn, strict=True))
        total_R = torch.zeros(self._rows, device=videos_SRB.device)
        for videos_RB, starts_RB in zip(videos_SRB, starts_SRB, strict=True):
            x, targets_RB = self._batches.gather(videos_RB, starts_RB)
            self._optimizer.zero_grad()
            loss_R = (self._forward(self._weights, self._buffers, x) - targets_RB).square().mean(1)
            torch.autograd.backward(loss_R.sum())
            self._optimizer.step()
            total_R += loss_R.detach()
        losses: list[float] = (total_R / len(videos_SRB)).tolist()
        return losses

    def _score(self, weights: dict[str, Tensor], buffers: dict[str, Tensor], x: dict[str, Tensor]) -> Tensor:
        score: Tensor = functional_call(self._network, (weights, buffers), (x,))
        return score
