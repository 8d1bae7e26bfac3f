"""One optimiser for many replicas: torch's fused AdamW or SGD over each replica's flat rows.

Every replica has its own learning rate, decay, step count and moments; one that rests is not touched at all. Rows of
equal rates, such as the folds of a trial, are stepped by one call.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from pamfn.replicas.pack import Pack, Part

MOMENTS = {"adamw": {"exp_avg": "first", "exp_avg_sq": "second"}, "sgd": {"momentum_buffer": "first"}}
BETAS, EPSILON = (0.9, 0.999), 1e-8  # AdamW's, torch's own

_Row = tuple[Part, Tensor]  # with its count of steps


@dataclass(frozen=True)
class Rate:
    """How far one replica goes in one step.

    Args:
        lr: Learning rate.
        weight_decay: Weight decay of every parameter.
        head_scale: Learning rate of the head, relative to the rest (0.1 in Sec. IV-C).
        momentum: Momentum of SGD.
        clip_norm: Largest gradient norm; None leaves the gradient as it is.
    """

    lr: float
    weight_decay: float = 0.0
    head_scale: float = 1.0
    momentum: float = 0.9
    clip_norm: float | None = None


class ReplicaOptimizer:
    """Steps the replicas of a pack, each at its own rate.

    Args:
        pack: The flat parameters, gradients and moments.
        kind: ``adamw`` (decoupled weight decay) or ``sgd``.

    Raises:
        ValueError: If ``kind`` is unknown.
    """

    def __init__(self, pack: Pack, *, kind: str) -> None:
        if kind not in MOMENTS:
            raise ValueError(f"optimizer: {kind!r} is not one of {', '.join(MOMENTS)}")
        self._pack, self._kind = pack, kind
        self._steps: list[list[Tensor]] = []  # of each replica: one count a part, as torch wants it
        self._norms: tuple[tuple[float, ...], Tensor] | None = None
        self.reset(range(pack.replicas.count))

    def reset(self, replicas: Iterable[int]) -> None:
        """Makes these replicas fresh: no steps, moments of zero."""
        device, count = self._pack.replicas.weights.device, self._pack.replicas.count
        self._steps = self._steps[:count] + [[] for _ in range(count - len(self._steps))]
        for replica in replicas:
            parts = self._pack.parts(replica)
            self._steps[replica] = [torch.zeros((), device=device) for _ in parts]
            for part in parts:
                part.first.zero_()
                part.second.zero_()

    def keep_only(self, replicas: Sequence[int]) -> None:
        """Drops the counts of all replicas but these; to be called when the pack drops them."""
        self._steps = [self._steps[replica] for replica in replicas]

    def zero_grad(self) -> None:
        """Sets all gradients to zero, in place."""
        self._pack.zero_grad()

    @torch.no_grad()
    def step(self, rates: Sequence[Rate], active: Sequence[bool]) -> None:
        """Clips and applies the gradients of the active replicas, each at its own rate."""
        norms = [math.inf if rate.clip_norm is None else rate.clip_norm for rate in rates]
        if min(norms) < math.inf:
            self._pack.clip_(self._norms_of(tuple(norms)))
        for (lr, decay, momentum), rows in self._groups(rates, active).items():
            self._step_rows(rows, lr, decay, momentum)

    def _norms_of(self, norms: tuple[float, ...]) -> Tensor:
        """Returns the norms on the device; they are moved there, and waited for, when they change."""
        if self._norms is None or self._norms[0] != norms:
            self._norms = norms, torch.tensor(norms, device=self._pack.replicas.grads.device)
        return self._norms[1]

    def _groups(self, rates: Sequence[Rate], active: Sequence[bool]) -> dict[tuple[float, float, float], list[_Row]]:
        """Returns the parts of each (learning rate, weight decay, momentum), with their counts of steps."""
        groups: dict[tuple[float, float, float], list[_Row]] = {}
        for replica, (rate, moves) in enumerate(zip(rates, active, strict=True)):
            for part, step in zip(self._pack.parts(replica), self._steps[replica], strict=True) if moves else ():
                lr = rate.lr * rate.head_scale if part.is_head else rate.lr
                groups.setdefault((lr, rate.weight_decay, rate.momentum), []).append((part, step))
        return groups

    def _step_rows(self, rows: Sequence[_Row], lr: float, decay: float, momentum: float) -> None:
        weights, grads = [part.weights for part, _ in rows], [part.grads for part, _ in rows]
        first, second = [part.first for part, _ in rows], [part.second for part, _ in rows]
        steps = [step for _, step in rows]
        if self._kind == "sgd":
            torch._foreach_add_(steps, 1)
            sgd(
                weights, grads, list[Tensor | None](first), fused=True, weight_decay=decay, momentum=momentum, lr=lr,
                dampening=0.0, nesterov=False, maximize=False,
            )  # fmt: skip
            return
        adamw(
            weights, grads, first, second, [], steps, fused=True, amsgrad=False, beta1=BETAS[0], beta2=BETAS[1],
            lr=lr, weight_decay=decay, eps=EPSILON, maximize=False,
        )  # fmt: skip

    def state(self, replica: int) -> dict[str, Tensor]:
        """Returns copies of one replica's moments and step count, by part and name; empty before its first step."""
        if not any(int(step) for step in self._steps[replica]):
            return {}
        return {
            f"{i}.{name}": value.detach().clone()
            for i, (part, step) in enumerate(zip(self._pack.parts(replica), self._steps[replica], strict=True))
            for name, value in {**{n: getattr(part, of) for n, of in MOMENTS[self._kind].items()}, "step": step}.items()
        }

    @torch.no_grad()
    def restore(self, replica: int, state: Mapping[str, Tensor]) -> None:
        """Puts back what `state` returned; an empty state is that of a fresh replica."""
        self.reset([replica])
        for i, (part, step) in enumerate(zip(self._pack.parts(replica), self._steps[replica], strict=True)):
            for name, of in MOMENTS[self._kind].items() if state else ():
                getattr(part, of).copy_(state[f"{i}.{name}"])
            step.copy_(state[f"{i}.step"] if state else step)


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
