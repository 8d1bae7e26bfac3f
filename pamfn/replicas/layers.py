"""Linear maps and kernel-3 convolutions over a leading axis of networks, each one batched matrix product."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pamfn.replicas.axis import FusionAxis
from pamfn.replicas.products import is_worth_chunks, product


class Linear(nn.Module):
    """y = W x + b for every network: one product of (rows, n, inputs) with (rows, inputs, outputs).

    Args:
        rows: Replicas, or FusionNets of all replicas where ``axis`` is given.
        inputs: Features in.
        outputs: Features out.
        axis: The FusionNet axis, if the rows are FusionNets.
    """

    def __init__(self, rows: int, inputs: int, outputs: int, *, axis: FusionAxis | None = None) -> None:
        super().__init__()
        self.axis = axis
        self.fan_in = inputs
        self.weight = nn.Parameter(torch.empty(rows, outputs, inputs))
        self.bias = nn.Parameter(torch.empty(rows, outputs))

    def forward(self, x_RD: Tensor) -> Tensor:
        """Maps (rows, ..., inputs) to (rows, ..., outputs)."""
        return batched_linear(x_RD, self.weight, self.bias)

    def without_bias(self, x_RD: Tensor) -> Tensor:
        """Maps (rows, ..., inputs) to (rows, ..., outputs) by the weights alone."""
        return batched_linear(x_RD, self.weight, None)

    def kernel(self, steps: int) -> Tensor:
        """Returns the weights as those of a convolution of one tap, (rows, outputs, 1, inputs)."""
        return self.weight[:, :, None]


def batched_linear(x_RD: Tensor, weight_ROI: Tensor, bias_RO: Tensor | None) -> Tensor:
    """Returns W x + b for every row: (rows, ..., in) to (rows, ..., out)."""
    if is_worth_chunks(x_RD, weight_ROI):
        return product(x_RD, weight_ROI, bias_RO)
    shape = x_RD.shape
    x_RNI, weight_RIO = x_RD.reshape(shape[0], -1, shape[-1]), weight_ROI.transpose(1, 2)
    y = torch.bmm(x_RNI, weight_RIO) if bias_RO is None else torch.baddbmm(bias_RO[:, None], x_RNI, weight_RIO)
    return y.view(*shape[:-1], -1)


class Conv3(nn.Module):
    """A convolution of kernel 3 over time with zero borders: one product over the unfolded input.

    The weight is (rows, outputs, 3, inputs); a replica cut out has the usual (outputs, inputs, 3).

    Args:
        rows: Replicas, or FusionNets of all replicas where ``axis`` is given.
        inputs: Features in.
        outputs: Features out.
        axis: The FusionNet axis, if the rows are FusionNets.
    """

    def __init__(self, rows: int, inputs: int, outputs: int, *, axis: FusionAxis | None = None) -> None:
        super().__init__()
        self.axis = axis
        self.fan_in = 3 * inputs
        self.weight = nn.Parameter(torch.empty(rows, outputs, 3, inputs))
        self.bias = nn.Parameter(torch.empty(rows, outputs))

    def forward(self, x_RBTD: Tensor) -> Tensor:
        """Maps (rows, B, T, inputs) to (rows, B, T, outputs)."""
        return self.without_bias(x_RBTD) + self.bias[:, None, None]

    def without_bias(self, x_RBTD: Tensor) -> Tensor:
        """Maps (rows, B, T, inputs) to (rows, B, T, outputs) by the weights alone."""
        if x_RBTD.shape[2] == 1:
            return batched_linear(x_RBTD, self.kernel(1)[:, :, 0], None)
        y: Tensor = _Convolve.apply(x_RBTD, self.weight)  # type: ignore[no-untyped-call]
        return y

    def kernel(self, steps: int) -> Tensor:
        """Returns the weights that see anything, (rows, outputs, taps, inputs): the middle tap alone if T is 1."""
        return self.weight[:, :, 1:2] if steps == 1 else self.weight  # beyond the borders are zeros

    def of_zeros(self, steps: int, videos: int) -> Tensor:
        """Returns what an input of zeros gives, (rows, B, T, outputs), without the product."""
        return self.bias[:, None, None].expand(-1, videos, steps, -1)


class _Convolve(torch.autograd.Function):
    """The convolution, unfolding its input again in the backward pass instead of keeping three copies of it."""

    @staticmethod
    def forward(ctx: Any, x_RBTD: Tensor, weight_RO3D: Tensor) -> Tensor:
        ctx.save_for_backward(x_RBTD, weight_RO3D)
        return batched_linear(unfold3(x_RBTD), weight_RO3D.flatten(2), None)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x_RBTD, weight_RO3D = (saved.to(grads[0].dtype) for saved in ctx.saved_tensors)  # autocast's, if it is on
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:  # a convolution of the gradient, taps in reverse order
            flipped_R3OD = weight_RO3D.flip(2).transpose(1, 2).flatten(1, 2)
            grad_x = torch.bmm(unfold3(grads[0]).flatten(1, 2), flipped_R3OD).view(x_RBTD.shape)
        if ctx.needs_input_grad[1]:
            grad_RON = grads[0].flatten(1, 2).transpose(1, 2)
            grad_weight = torch.bmm(grad_RON, unfold3(x_RBTD).flatten(1, 2)).view(weight_RO3D.shape)
        return grad_x, grad_weight


def unfold3(x_RBTD: Tensor) -> Tensor:
    """Returns each step beside its two neighbours, (R, B, T, D) to (R, B, T, 3 D), with zero borders."""
    padded = functional.pad(x_RBTD, (0, 0, 1, 1))
    return torch.cat([padded[:, :, :-2], x_RBTD, padded[:, :, 2:]], dim=-1)
