"""All tensors of a stacked network in flat buffers: one row a replica, and one row a FusionNet.

Clipping, the optimiser, and the moments of one replica are then a few operations over one contiguous row, whatever the
number of layers; a replica that rests is a row that is left out; and replicas come and go by the copying of rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pamfn.replicas.axis import FusionAxis
from pamfn.replicas.cut import entries
from pamfn.replicas.rows import Rows, room_of

# Gradients accumulate in place into rows that are far apart; torch warns, once, that this layout is not its own.
warnings.filterwarnings("ignore", message="grad and param do not obey the gradient layout contract")

_OF_A_PART = ("weights", "grads", "first", "second")


@dataclass(frozen=True)
class Part:
    """A flat part of one replica: its body, its head, or its FusionNets.

    Args:
        is_head: Whether it is the head's.
        weights: Trained parameters; views of the buffers, as all of these.
        grads: Their gradients.
        first: Their first moments, or SGD's momentum.
        second: Their second moments.
    """

    is_head: bool
    weights: Tensor
    grads: Tensor
    first: Tensor
    second: Tensor


class Pack:
    """Moves all tensors of a network, and the gradients of those that are trained, into flat buffers.

    Modules go on using them as views, and gradients accumulate in place. Parameters are made anew whenever the number
    of rows changes, so they are looked up in their modules and not held.

    Args:
        network: A stacked network.
        axis: The FusionNet axis, if the network has one.
        is_head: Tells from its full name whether a parameter belongs to the head, which has a learning rate of its own.
        trains: Whether to keep gradients and moments; a network that only scores needs none.
    """

    def __init__(
        self, network: nn.Module, axis: FusionAxis | None, is_head: Callable[[str], bool], *, trains: bool = True
    ) -> None:
        named = list(entries(network))
        self.axis = axis
        shared = [e for e in named if getattr(e[1], "axis", None) is None]
        nets = [e for e in named if getattr(e[1], "axis", None) is not None]
        trained = [e for e in shared if _is_trained(e[3])]
        body = [(module, own) for name, module, own, _ in trained if not is_head(name)]
        head = [(module, own) for name, module, own, _ in trained if is_head(name)]
        self.body_size = sum(room_of(getattr(module, name)) for module, name in body)
        self.replicas = Rows([*body, *head], [(m, own) for _, m, own, t in shared if not _is_trained(t)], trains=trains)
        self.nets = Rows(
            [(m, own) for _, m, own, t in nets if _is_trained(t)],
            [(m, own) for _, m, own, t in nets if not _is_trained(t)],
            trains=trains,
        )
        self._parts: dict[int, list[Part]] = {}

    @property
    def grads_RP(self) -> Tensor:
        """Gradients of the replicas in use, (R, P)."""
        return self.replicas.grads[: self.replicas.count]

    @property
    def grads_FP(self) -> Tensor:
        """Gradients of the FusionNets in use, (F, P)."""
        return self.nets.grads[: self.nets.count]

    def resize(self, counts: Sequence[int]) -> None:
        """Sets the replicas in use, the first ones, by the number of FusionNets of each (1 where there are none)."""
        self._parts.clear()
        self.replicas.resize(len(counts))
        if self.axis is not None:
            self.nets.resize(sum(counts))
            if counts:
                self.axis.assign(counts)

    def keep_only(self, replicas: Sequence[int]) -> None:
        """Drops all replicas but these, which move up and keep their order."""
        self._parts.clear()
        if self.axis is None:
            self.replicas.keep_only(replicas)
            return
        rows = [self.axis.rows(replica) for replica in replicas]
        counts = [self.axis.counts[replica] for replica in replicas]
        self.replicas.keep_only(replicas)
        self.nets.keep_only([row for of in rows for row in range(of.start, of.stop)])
        if counts:
            self.axis.assign(counts)

    def copy_from(self, other: Pack, pairs: Sequence[tuple[int, int]]) -> None:
        """Copies weights and buffers of another network of this shape, replica by replica, (mine, the other's)."""
        self.replicas.copy_from(other.replicas, pairs)
        if self.axis is not None and other.axis is not None:
            mine, theirs = ([a.rows(pair[side]) for pair in pairs] for side, a in ((0, self.axis), (1, other.axis)))
            spans = [(range(m.start, m.stop), range(t.start, t.stop)) for m, t in zip(mine, theirs, strict=True)]
            self.nets.copy_from(other.nets, [pair for m, t in spans for pair in zip(m, t, strict=True)])

    @property
    def layout(self) -> tuple[object, ...]:
        """Where everything is: equal as long as all tensors of the network have the places and shapes they had."""
        axis = () if self.axis is None else (self.axis.total, self.axis.most)
        return *self.generation, self.replicas.count, *axis

    @property
    def generation(self) -> tuple[int, int]:
        """How often the buffers have moved; what was recorded before they did is of no use."""
        return self.replicas.generation, self.nets.generation

    def statistics(self) -> list[Tensor]:
        """Returns views of what a forward pass changes; a step that could not be finished is undone by them."""
        return [self.replicas.statistics, self.nets.statistics]

    def blank(self, replica: int) -> None:
        """Makes a replica's rows as good as new."""
        self.replicas.blank(slice(replica, replica + 1))
        if self.axis is not None:
            self.nets.blank(self.axis.rows(replica))

    def zero_grad(self) -> None:
        """Sets all gradients to zero, in place."""
        self.grads_RP.zero_()
        self.grads_FP.zero_()

    def parts(self, replica: int) -> list[Part]:
        """Returns the flat parts of a replica; empty ones are left out."""
        if replica not in self._parts:
            cut, of = self.body_size, [getattr(self.replicas, name)[replica] for name in _OF_A_PART]
            parts = [Part(False, *(row[:cut] for row in of)), Part(True, *(row[cut:] for row in of))]
            if self.axis is not None:
                rows = self.axis.rows(replica)
                parts.append(Part(False, *(getattr(self.nets, name)[rows].view(-1) for name in _OF_A_PART)))
            self._parts[replica] = [part for part in parts if part.weights.numel()]
        return self._parts[replica]

    def clip_(self, norm_R: Tensor) -> None:
        """Scales each replica's gradient to at most its norm; infinity leaves it as it is."""
        squares_R = self.grads_RP.square().sum(1)
        if self.axis is not None and self.grads_FP.numel():
            squares_RK = self.axis.by_replica(self.grads_FP.square().sum(1))
            squares_R = squares_R + torch.where(self.axis.enabled_RK, squares_RK, 0.0).sum(1)
        scale_R = (norm_R / (squares_R.sqrt() + 1e-6)).clamp(max=1.0)
        self.grads_RP.mul_(scale_R[:, None])
        if self.axis is not None:
            self.grads_FP.mul_(self.axis.spread(scale_R)[:, None])

    def finite_R(self) -> Tensor:
        """Returns of each replica whether all its trained weights are finite."""
        finite_R = self.replicas.weights[: self.replicas.count].isfinite().all(1)
        if self.axis is not None:
            finite_F = self.nets.weights[: self.nets.count].isfinite().all(1)
            finite_R = finite_R & self.axis.by_replica(finite_F).all(1)
        return finite_R


def _is_trained(tensor: Tensor) -> bool:
    return isinstance(tensor, nn.Parameter) and tensor.requires_grad
