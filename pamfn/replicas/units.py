"""activation(batch norm(layer(x))) and the residual block of two of them, chunk by chunk on the CPU.

Each is one autograd function with its gradient in closed form: what a pass over memory would only hand to the next pass
stays in cache, and the backward pass computes activations again instead of reading them back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pamfn.replicas.chunk_norm import (
    ACTIVATIONS,
    Statistics,
    There,
    Weights,
    normalise_,
    scaled,
    scaled_backward,
)
from pamfn.replicas.chunks import apart, beside, chunks, convolve, convolve_backward, pooled, pooled_backward
from pamfn.replicas.layers import Conv3, Linear
from pamfn.replicas.norm import BatchNorm
from pamfn.replicas.segments import Segments, pool_by_two

Layer = Linear | Conv3


def unit(layer: Layer, norm: BatchNorm, x_RBTI: Tensor, segments: Segments, activation: str) -> Tensor:
    """Maps (rows, B, T, inputs) to activation(batch norm(layer)), (rows, B, T, outputs).

    The layer's bias moves the norm's running mean and nothing else.
    """
    there = _there(x_RBTI, segments, layer)
    if not norm.training:
        return _inferred([(layer, norm)], x_RBTI, there, activation)
    weights = _weights(layer, norm, x_RBTI)
    y, *statistics = _Unit.apply(x_RBTI, *weights, *there, activation, norm.epsilon)  # type: ignore[no-untyped-call]
    _remember([(layer, norm)], statistics, there)
    return y  # type: ignore[no-any-return]


def residual(
    pairs: Sequence[tuple[Layer, BatchNorm]], x_RBTD: Tensor, segments: Segments, activation: str, *, pool: bool = False
) -> Tensor:
    """Returns x + unit(unit(x)), (rows, B, T, D), of two layers and the norms behind them.

    Args:
        pairs: The layers and norms.
        x_RBTD: The features.
        segments: Which of them are there.
        activation: Of both units.
        pool: Whether to return means of neighbours in time, (rows, B, T // 2, D).
    """
    (layer1, norm1), (layer2, norm2) = pairs
    there = _there(x_RBTD, segments, layer1)
    if not norm1.training:
        y_RBTD = x_RBTD + _inferred(pairs, x_RBTD, there, activation)
        return pool_by_two(y_RBTD) if pool else y_RBTD
    weights1, weights2 = _weights(layer1, norm1, x_RBTD), _weights(layer2, norm2, x_RBTD)
    y, *statistics = _Residual.apply(  # type: ignore[no-untyped-call]
        x_RBTD, *weights1, *weights2, *there, activation, norm1.epsilon, pool
    )
    _remember(pairs, statistics, there)
    return y  # type: ignore[no-any-return]


def _weights(layer: Layer, norm: BatchNorm, x_RBTI: Tensor) -> Weights:
    return Weights(layer.kernel(x_RBTI.shape[2]), norm.weight, norm.bias)


def _there(x_RBTI: Tensor, segments: Segments, layer: Layer) -> There:
    rows, videos, steps, _ = x_RBTI.shape
    counted = segments.counted(layer.axis, x_RBTI.dtype)
    if counted is None:
        return There(None, x_RBTI.new_full((rows, 1), videos * steps), zeroed=False)
    return There(*counted, zeroed=segments.ragged and isinstance(layer, Conv3))


def _remember(pairs: Sequence[tuple[Layer, BatchNorm]], statistics: list[Tensor], there: There) -> None:
    for (layer, norm), mean_RD, variance_RD in zip(pairs, statistics[::2], statistics[1::2], strict=True):
        norm.remember(mean_RD + layer.bias, variance_RD, there.count_R1)


def _inferred(pairs: Sequence[tuple[Layer, BatchNorm]], x_RBTI: Tensor, there: There, activation: str) -> Tensor:
    """Returns what units one behind the other give by their running statistics, folded into the layers."""
    folded = []
    for layer, norm in pairs:
        scale_RO, shift_RO = norm.affine(layer.bias)
        folded.append((layer.kernel(x_RBTI.shape[2]) * scale_RO[..., None, None], shift_RO))
    rows, videos, steps, inputs = x_RBTI.shape
    outputs = folded[-1][1].shape[1]
    out = x_RBTI.new_empty(rows, videos, steps, outputs)
    for part in chunks(rows, videos, steps, inputs, outputs):
        y, here = beside(x_RBTI[part]), there.rows(part)
        for kernel, shift_RO in folded:
            y = ACTIVATIONS[activation].in_place(convolve(here.seen(y), kernel[part], shift_RO[part].flatten()))
        out[part] = apart(y, len(here.count_R1))
    return out


class _Unit(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_RBTI: Tensor, *rest: Any) -> tuple[Tensor, ...]:
        weights, there, name, epsilon = Weights(*rest[:3]), There(*rest[3:6]), rest[6], rest[7]
        rows, outputs, _, inputs = weights.kernel_ROKI.shape
        _, videos, steps, _ = x_RBTI.shape
        out = x_RBTI.new_empty(rows, videos, steps, outputs)
        parts = chunks(rows, videos, steps, inputs, outputs)
        centred: list[Tensor] = []
        statistics: list[Statistics] = []
        for part in parts:
            here, own = there.rows(part), weights.rows(part)
            centred.append(convolve(here.seen(beside(x_RBTI[part])), own.kernel_ROKI))
            statistics.append(normalise_(centred[-1], here, epsilon))
            z = scaled(centred[-1], statistics[-1].inverse_RD, own)
            out[part] = apart(ACTIVATIONS[name].in_place(z), len(here.count_R1))
        mean, variance, inverse = (torch.cat(of) for of in zip(*statistics, strict=True))
        ctx.save_for_backward(x_RBTI, *weights, there.mask_RBT, there.count_R1, inverse, *centred)
        ctx.parts, ctx.zeroed, ctx.name = parts, there.zeroed, name
        ctx.mark_non_differentiable(mean, variance)
        return out, mean, variance

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x_RBTI, *rest = ctx.saved_tensors
        weights, there, inverse_RD = Weights(*rest[:3]), There(rest[3], rest[4], ctx.zeroed), rest[5]
        grad_x = torch.empty_like(x_RBTI) if ctx.needs_input_grad[0] else None
        found = []
        for part, y in zip(ctx.parts, rest[6:], strict=True):
            here, own = there.rows(part), weights.rows(part)
            grad_z = ACTIVATIONS[ctx.name].backward(beside(grads[0][part]), scaled(y, inverse_RD[part], own))
            grad_y, *grads_norm = scaled_backward(grad_z, y, inverse_RD[part], own, here)
            seen = here.seen(beside(x_RBTI[part]))
            grad_seen, grad_kernel = convolve_backward(grad_y, seen, own.kernel_ROKI, needs_input=grad_x is not None)
            if grad_x is not None:
                grad_x[part] = apart(here.seen_(grad_seen), len(here.count_R1))
            found.append((grad_kernel, *grads_norm))
        return grad_x, *(torch.cat(of) for of in zip(*found, strict=True)), *(None,) * 5


class _Residual(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_RBTD: Tensor, *rest: Any) -> tuple[Tensor, ...]:
        both, there, name, epsilon = (Weights(*rest[:3]), Weights(*rest[3:6])), There(*rest[6:9]), rest[9], rest[10]
        rows, videos, steps, width = x_RBTD.shape
        ctx.pool = rest[11]
        out = x_RBTD.new_empty(rows, videos, steps // 2 if ctx.pool else steps, width)
        parts = chunks(rows, videos, steps, width, width)
        centred: list[Tensor] = []
        statistics: tuple[list[Statistics], list[Statistics]] = ([], [])
        for part in parts:
            here, x = there.rows(part), beside(x_RBTD[part])
            hidden = x
            for weights, of in zip(both, statistics, strict=True):
                centred.append(convolve(here.seen(hidden), weights.kernel_ROKI[part]))
                of.append(normalise_(centred[-1], here, epsilon))
                hidden = ACTIVATIONS[name].in_place(scaled(centred[-1], of[-1].inverse_RD, weights.rows(part)))
            hidden.add_(x)
            out[part] = apart(pooled(hidden) if ctx.pool else hidden, len(here.count_R1))
        mean1, variance1, inverse1 = (torch.cat(of) for of in zip(*statistics[0], strict=True))
        mean2, variance2, inverse2 = (torch.cat(of) for of in zip(*statistics[1], strict=True))
        ctx.save_for_backward(x_RBTD, *both[0], *both[1], there.mask_RBT, there.count_R1, inverse1, inverse2, *centred)
        ctx.parts, ctx.zeroed, ctx.name = parts, there.zeroed, name
        ctx.mark_non_differentiable(mean1, variance1, mean2, variance2)
        return out, mean1, variance1, mean2, variance2

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x_RBTD, *rest = ctx.saved_tensors
        first, second, there = Weights(*rest[:3]), Weights(*rest[3:6]), There(rest[6], rest[7], ctx.zeroed)
        inverse1, inverse2, *centred = rest[8:]
        act = ACTIVATIONS[ctx.name]
        grad_x = torch.empty_like(x_RBTD)
        found = []
        for part, y1, y2 in zip(ctx.parts, centred[::2], centred[1::2], strict=True):
            here, own1, own2, grad = there.rows(part), first.rows(part), second.rows(part), beside(grads[0][part])
            if ctx.pool:
                grad = pooled_backward(grad, x_RBTD.shape[2])
            grad_z = act.backward(grad, scaled(y2, inverse2[part], own2))
            grad_y, *grads2 = scaled_backward(grad_z, y2, inverse2[part], own2, here)
            z1 = scaled(y1, inverse1[part], own1)
            grad_hidden, kernel2 = convolve_backward(grad_y, here.seen_(act.forward(z1)), own2.kernel_ROKI)
            grad_z = act.backward(here.seen_(grad_hidden), z1)
            grad_y, *grads1 = scaled_backward(grad_z, y1, inverse1[part], own1, here)
            grad_seen, kernel1 = convolve_backward(grad_y, here.seen(beside(x_RBTD[part])), own1.kernel_ROKI)
            grad_x[part] = apart(here.seen_(grad_seen).add_(grad), len(here.count_R1))
            found.append((kernel1, *grads1, kernel2, *grads2))
        return grad_x, *(torch.cat(of) for of in zip(*found, strict=True)), *(None,) * 6
