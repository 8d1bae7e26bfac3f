"""All trained parameters of a stacked network in flat buffers: one row a replica, and one row a FusionNet.

Clipping, the optimiser, and the moments of one replica are then a few operations over one contiguous row, whatever the
number of layers, and a replica that rests is a row that is left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pamfn.replicas.axis import FusionAxis
from pamfn.replicas.cut import entries

# Gradients accumulate in place into rows that are far apart; torch warns, once, that this layout is not its own.
warnings.filterwarnings("ignore", message="grad and param do not obey the gradient layout contract")

ALIGN = 16  # floats; keeps every parameter's start on a cache line


class Pack:
    """Moves the trained parameters of a network, and their gradients, into flat buffers.

    The parameters become views: modules go on using them, and gradients accumulate in place.

    Args:
        network: A stacked network; parameters that do not require a gradient stay where they are.
        replicas: R.
        axis: The FusionNet axis, if the network has one.
        is_head: Tells from its full name whether a parameter belongs to the head, which has a learning rate of its own.
    """

    def __init__(
        self, network: nn.Module, replicas: int, axis: FusionAxis | None, is_head: Callable[[str], bool]
    ) -> None:
        trained = [
            (name, module, parameter)
            for name, module, _, parameter in entries(network)
            if isinstance(parameter, nn.Parameter) and parameter.requires_grad
        ]
        shared = [(n, p) for n, m, p in trained if getattr(m, "axis", None) is None]
        nets = [p for n, m, p in trained if getattr(m, "axis", None) is not None]
        body = [p for n, p in shared if not is_head(n)]
        head = [p for n, p in shared if is_head(n)]
        self.axis = axis
        self.body_size = sum(_room(p) for p in body)
        self.weights_RP, self.grads_RP = _move([*body, *head], replicas)
        self.weights_FP, self.grads_FP = _move(nets, axis.total if axis is not None else 0)

    def zero_grad(self) -> None:
        """Sets all gradients to zero, in place."""
        self.grads_RP.zero_()
        self.grads_FP.zero_()

    def rows(self, replica: int) -> list[tuple[Tensor, Tensor, bool]]:
        """Returns a replica's flat parts, each (weights, gradients, whether it is the head's); empty parts left out."""
        cut = self.body_size
        parts = [
            (self.weights_RP[replica, :cut], self.grads_RP[replica, :cut], False),
            (self.weights_RP[replica, cut:], self.grads_RP[replica, cut:], True),
        ]
        if self.axis is not None:
            rows = self.axis.rows(replica)
            parts.append((self.weights_FP[rows].view(-1), self.grads_FP[rows].view(-1), False))
        return [part for part in parts if part[0].numel()]

    def clip_(self, norm_R: Tensor) -> None:
        """Scales each replica's gradient to at most its norm; infinity leaves it as it is."""
        squares_R = self.grads_RP.square().sum(1)
        if self.axis is not None and self.grads_FP.numel():
            squares_RK = self.axis.by_replica(self.grads_FP.square().sum(1))
            squares_R = squares_R + torch.where(self.axis.enabled_RK, squares_RK, 0.0).sum(1)
        scale_R = (norm_R / (squares_R.sqrt() + 1e-6)).clamp(max=1.0)
        self.grads_RP *= scale_R[:, None]
        if self.axis is not None:
            self.grads_FP *= self.axis.spread(scale_R)[:, None]


def _room(parameter: Tensor) -> int:
    return -(-parameter[0].numel() // ALIGN) * ALIGN


@torch.no_grad()
def _move(parameters: list[nn.Parameter], rows: int) -> tuple[Tensor, Tensor]:
    """Rehouses parameters of equal leading size; returns the flat weights and gradients, (rows, P) each."""
    width = sum(_room(p) for p in parameters)
    like = parameters[0] if parameters else torch.empty(0)
    weights, grads = like.new_zeros(rows, width), like.new_zeros(rows, width)
    start = 0
    for parameter in parameters:
        stop = start + parameter[0].numel()
        view = weights[:, start:stop].view(parameter.shape)
        view.copy_(parameter)
        parameter.data = view
        parameter.grad = grads[:, start:stop].view(parameter.shape)
        start += _room(parameter)
    return weights, grads
