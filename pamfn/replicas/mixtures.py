"""Weighted sums of a few feature maps for each of K networks, a few networks at a time on the CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pamfn.replicas.chunks import CHUNK_FLOATS, goes_by_chunks


def mixtures(maps: list[Tensor], weights_RKBTM: Tensor) -> Tensor:
    """Returns sum_m w_m x_m for each of K networks, (R, K, B, T, D).

    Args:
        maps: M feature maps that the networks of a replica share, (R, B, T, D).
        weights_RKBTM: Each network's weight of each map at each step.
    """
    if goes_by_chunks(maps[0], training=True):
        return _Mixtures.apply(weights_RKBTM, *maps)  # type: ignore[no-untyped-call, no-any-return]
    weights_RKBTM = weights_RKBTM.to(maps[-1].dtype)
    summed = maps[0][:, None] * weights_RKBTM[..., 0, None]
    for m, x_RBTD in enumerate(maps[1:], start=1):
        summed = torch.addcmul(summed, x_RBTD[:, None], weights_RKBTM[..., m, None])
    return summed


class _Mixtures(torch.autograd.Function):
    """The sums and their gradients; each part is finished while it is in cache, and no product is kept."""

    @staticmethod
    def forward(ctx: Any, weights_RKBTM: Tensor, *maps: Tensor) -> Tensor:
        ctx.save_for_backward(weights_RKBTM, *maps)
        out = maps[0].new_empty(*weights_RKBTM.shape[:4], maps[0].shape[-1])
        for row, part in _parts(out):
            weights = weights_RKBTM[row, part, ..., None].unbind(-2)
            mixed = torch.mul(maps[0][row], weights[0], out=out[row, part])
            for x_RBTD, weight in zip(maps[1:], weights[1:], strict=True):
                mixed.addcmul_(x_RBTD[row], weight)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        weights_RKBTM, *maps = ctx.saved_tensors
        grad = grads[0]
        by_map = [weights_RKBTM.new_empty(weights_RKBTM.shape[:4]) for _ in maps]
        grad_maps = [
            torch.zeros_like(x) if needed else None for x, needed in zip(maps, ctx.needs_input_grad[1:], strict=True)
        ]
        for row, part in _parts(grad):
            for m, (x_RBTD, grad_weight, grad_map) in enumerate(zip(maps, by_map, grad_maps, strict=True)):
                torch.sum(grad[row, part] * x_RBTD[row], -1, out=grad_weight[row, part])
                if grad_map is not None:
                    grad_map[row] += (grad[row, part] * weights_RKBTM[row, part, ..., m, None]).sum(0)
        return torch.stack(by_map, dim=-1), *grad_maps


def _parts(like_RKBTD: Tensor) -> list[tuple[int, slice]]:
    """Returns each replica's networks in slices small enough for the cache."""
    replicas, nets = like_RKBTD.shape[:2]
    size = max(1, CHUNK_FLOATS // like_RKBTD[0, 0].numel())
    return [(row, slice(k, k + size)) for row in range(replicas) for k in range(0, nets, size)]
