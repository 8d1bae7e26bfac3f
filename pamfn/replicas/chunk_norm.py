"""Batch norm and activation of a chunk: what `pamfn.replicas.norm` does, in the layout of `pamfn.replicas.chunks`.

Masked or not, the sums run over the same elements in the same order, so a neighbour's short batch changes no bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from pamfn.replicas.chunks import apart, column_sums


class Activation(NamedTuple):
    """A function, the same in place, and the product of a gradient with its derivative."""

    forward: Callable[[Tensor], Tensor]
    in_place: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]


ACTIVATIONS = {
    "gelu": Activation(functional.gelu, torch.ops.aten.gelu_, torch.ops.aten.gelu_backward),
    "relu": Activation(torch.relu, torch.relu_, lambda grad, x: torch.ops.aten.threshold_backward(grad, x, 0)),
}


class Weights(NamedTuple):
    """Weights of a layer, rows first, and of the batch norm behind it.

    Attributes:
        kernel_ROKI: The layer's; a linear map is a convolution of one tap.
        scale_RD: The norm's weight.
        shift_RD: The norm's bias.
    """

    kernel_ROKI: Tensor
    scale_RD: Tensor
    shift_RD: Tensor

    def rows(self, part: slice) -> Weights:
        """Returns some rows of them."""
        return Weights(self.kernel_ROKI[part], self.scale_RD[part], self.shift_RD[part])


class There(NamedTuple):
    """Which segments count.

    Attributes:
        mask_RBT: 1 where a segment counts, T of 1 where videos count as a whole; None if all count.
        count_R1: How many.
        zeroed: Whether the layers see zeros where none counts, as convolutions of ragged videos do.
    """

    mask_RBT: Tensor | None
    count_R1: Tensor
    zeroed: bool

    def rows(self, part: slice) -> There:
        """Returns some rows of it."""
        return There(None if self.mask_RBT is None else self.mask_RBT[part], self.count_R1[part], self.zeroed)

    def masked_(self, x_BTC: Tensor) -> Tensor:
        """Zeroes a chunk in place where no segment counts."""
        if self.mask_RBT is not None:
            apart(x_BTC, self.mask_RBT.shape[0]).mul_(self.mask_RBT[..., None])
        return x_BTC

    def seen(self, x_BTC: Tensor) -> Tensor:
        """Returns what a layer sees of a chunk."""
        return self.masked_(x_BTC.clone()) if self.zeroed else x_BTC

    def seen_(self, x_BTC: Tensor) -> Tensor:
        """Returns what a layer sees of a chunk, or its gradient, in place."""
        return self.masked_(x_BTC) if self.zeroed else x_BTC


class Statistics(NamedTuple):
    """Mean and biased variance of a batch, for each row and feature, and 1 over the deviation."""

    mean_RD: Tensor
    variance_RD: Tensor
    inverse_RD: Tensor


def normalise_(y_BTC: Tensor, there: There, epsilon: float) -> Statistics:
    """Subtracts a chunk's mean in place and returns its statistics."""
    rows = there.count_R1.shape[0]
    divisor_R1 = there.count_R1.clamp(min=1)
    mean_RD = column_sums(there.masked_(y_BTC), rows).view(rows, -1) / divisor_R1
    there.masked_(y_BTC.sub_(mean_RD.flatten()))
    variance_RD = column_sums(y_BTC * y_BTC, rows).view(rows, -1) / divisor_R1
    return Statistics(mean_RD, variance_RD, torch.rsqrt(variance_RD + epsilon))


def scaled(centred_BTC: Tensor, inverse_RD: Tensor, weights: Weights) -> Tensor:
    """Returns the norm's output from what `normalise_` left."""
    return torch.addcmul(weights.shift_RD.flatten(), centred_BTC, (weights.scale_RD * inverse_RD).flatten())


def scaled_backward(
    grad_BTC: Tensor, centred_BTC: Tensor, inverse_RD: Tensor, weights: Weights, there: There
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the gradients of the norm's input, of its weight and of its bias; masks ``grad_BTC`` in place."""
    rows = inverse_RD.shape[0]
    divisor_R1 = there.count_R1.clamp(min=1)
    grad_shift_RD = column_sums(there.masked_(grad_BTC), rows).view(rows, -1)
    grad_scale_RD = column_sums(grad_BTC * centred_BTC, rows).view(rows, -1) * inverse_RD
    slope_RD = weights.scale_RD * inverse_RD
    constant_RD = -slope_RD * grad_shift_RD / divisor_R1
    factor_RD = -slope_RD * inverse_RD * grad_scale_RD / divisor_R1
    grad_y_BTC = torch.addcmul(constant_RD.flatten(), centred_BTC, factor_RD.flatten())
    return there.masked_(grad_y_BTC.addcmul_(grad_BTC, slope_RD.flatten())), grad_scale_RD, grad_shift_RD
