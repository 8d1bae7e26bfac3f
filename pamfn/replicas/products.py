"""Linear maps of large inputs as convolutions of one tap: oneDNN's run at twice the rate of batched products."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pamfn.replicas.chunks import apart, beside, chunks, column_sums, convolve, convolve_backward, goes_by_chunks

WORTH_A_CALL = 2**22  # multiply-adds of a chunk, below which the calls take longer than one batched product


def is_worth_chunks(x_RD: Tensor, weight_ROI: Tensor) -> bool:
    """Tells whether `product` is the faster way; it depends on shapes alone."""
    if not goes_by_chunks(x_RD, training=True):
        return False
    rows, outputs, inputs = weight_ROI.shape
    places = x_RD[0].numel() // inputs
    part = chunks(rows, 1, places, inputs, outputs)[0]
    size: int = part.stop - part.start
    return size * places * outputs * inputs >= WORTH_A_CALL


def product(x_RD: Tensor, weight_ROI: Tensor, bias_RO: Tensor | None) -> Tensor:
    """Returns W x + b for every row: (rows, ..., in) to (rows, ..., out)."""
    rows, inputs = len(x_RD), x_RD.shape[-1]
    y: Tensor = _Product.apply(x_RD.reshape(rows, 1, -1, inputs), weight_ROI, bias_RO)  # type: ignore[no-untyped-call]
    return y.view(*x_RD.shape[:-1], -1)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_R1NI: Tensor, weight_ROI: Tensor, bias_RO: Tensor | None) -> Tensor:
        ctx.save_for_backward(x_R1NI, weight_ROI)
        rows, outputs, inputs = weight_ROI.shape
        places = x_R1NI.shape[2]
        ctx.parts = chunks(rows, 1, places, inputs, outputs)
        out = x_R1NI.new_empty(rows, 1, places, outputs)
        for part in ctx.parts:
            bias_C = None if bias_RO is None else bias_RO[part].flatten()
            out[part] = apart(convolve(beside(x_R1NI[part]), weight_ROI[part, :, None], bias_C), len(out[part]))
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x_R1NI, weight_ROI = ctx.saved_tensors
        grad_x = torch.empty_like(x_R1NI) if ctx.needs_input_grad[0] else None
        grad_weight, grad_bias = torch.empty_like(weight_ROI), weight_ROI.new_empty(weight_ROI.shape[:2])
        for part in ctx.parts:
            grad, size = beside(grads[0][part]), part.stop - part.start
            grad_seen, grad_kernel = convolve_backward(
                grad, beside(x_R1NI[part]), weight_ROI[part, :, None], needs_input=grad_x is not None
            )
            grad_weight[part] = grad_kernel[:, :, 0]
            if grad_x is not None:
                grad_x[part] = apart(grad_seen, size)
            if ctx.needs_input_grad[2]:
                grad_bias[part] = column_sums(grad, size).view(size, -1)
        return grad_x, grad_weight, grad_bias if ctx.needs_input_grad[2] else None
