"""One optimiser for many replicas: torch's fused AdamW or SGD over each replica's flat rows.

Every replica has its own learning rate, step count and moments; one that rests is not touched at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from pamfn.replicas.pack import Pack


class ReplicaOptimizer:
    """Steps the replicas of a pack, each at its own learning rate.

    Args:
        pack: The flat parameters and gradients.
        kind: ``adamw`` (decoupled weight decay) or ``sgd``.
        weight_decay: Weight decay of every parameter.
        momentum: Momentum of SGD.
        head_scale: Learning rate of the head, relative to the rest (0.1 in Sec. IV-C).
        clip_norm: Largest gradient norm of a replica; None leaves gradients as they are.

    Raises:
        ValueError: If ``kind`` is unknown.
    """

    def __init__(
        self,
        pack: Pack,
        replicas: int,
        *,
        kind: Literal["adamw", "sgd"] | str,
        weight_decay: float,
        momentum: float = 0.9,
        head_scale: float = 1.0,
        clip_norm: float | None = None,
    ) -> None:
        self._pack, self._clip_norm, self._kind = pack, clip_norm, kind
        self._rows = [
            [(nn.Parameter(weights), grads, head_scale if is_head else 1.0) for weights, grads, is_head in pack.rows(r)]
            for r in range(replicas)
        ]
        groups: list[dict[str, object]] = [{"params": [row], "lr": 0.0} for mine in self._rows for row, _, _ in mine]
        self._inner = _inner(kind, groups, weight_decay, momentum)
        kept = iter(self._inner.param_groups)  # in the order given
        self._groups = [[next(kept) for _ in mine] for mine in self._rows]

    def zero_grad(self) -> None:
        """Sets all gradients to zero, in place."""
        self._pack.zero_grad()

    def step(self, rates: Sequence[float], active: Sequence[bool]) -> None:
        """Clips and applies the gradients of the active replicas, each at its own rate."""
        if self._clip_norm is not None:
            self._pack.clip_(self._pack.grads_RP.new_full((len(self._rows),), self._clip_norm))
        for replica, rows in enumerate(self._rows):
            for (row, grads, scale), group in zip(rows, self._groups[replica], strict=True):
                row.grad = grads if active[replica] else None
                group["lr"] = rates[replica] * scale
        self._inner.step()

    def state(self, replica: int) -> dict[str, Tensor]:
        """Returns copies of one replica's moments and step count, by part and name; empty before its first step."""
        return {
            f"{part}.{name}": value.detach().clone()
            for part, (row, _, _) in enumerate(self._rows[replica])
            for name, value in self._inner.state.get(row, {}).items()
            if isinstance(value, Tensor)
        }

    def restore(self, replica: int, state: Mapping[str, Tensor]) -> None:
        """Puts back what `state` returned; an empty state is that of a fresh replica."""
        for part, (row, _, _) in enumerate(self._rows[replica]):
            mine = {name.split(".", 1)[1]: value for name, value in state.items() if name.startswith(f"{part}.")}
            self._inner.state.pop(row, None)
            if mine:
                self._inner.state[row] = {name: value.to(row.device, copy=True) for name, value in mine.items()}


def _inner(kind: str, groups: list[dict[str, object]], weight_decay: float, momentum: float) -> torch.optim.Optimizer:
    if kind == "adamw":
        return torch.optim.AdamW(groups, weight_decay=weight_decay, fused=True)
    if kind == "sgd":
        return torch.optim.SGD(groups, weight_decay=weight_decay, momentum=momentum, fused=True)
    raise ValueError(f"optimizer: {kind!r} is not one of adamw, sgd")


def learning_rate(epoch: int, *, peak: float, floor: float, epochs: int, schedule: str) -> float:
    """Returns the learning rate of an epoch: cosine decay from ``peak`` to ``floor`` over the full budget, or constant.

    Args:
        epoch: Epoch, from 0.
        peak: Rate of the first epoch.
        floor: Rate that a cosine ends at (not above the peak).
        epochs: The full budget; a trial that is stopped early has followed the start of the same curve.
        schedule: ``cosine`` or ``constant``.
    """
    if schedule == "constant":
        return peak
    low = min(floor, peak)
    return low + (peak - low) * (1 + math.cos(math.pi * epoch / epochs)) / 2
