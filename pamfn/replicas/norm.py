"""Batch norm for every network on its own, counting only the segments that are there."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pamfn.replicas.axis import FusionAxis
from pamfn.replicas.segments import Segments


class BatchNorm(nn.Module):
    """Batch norm over videos and time for each row, as ``torch.nn.BatchNorm1d`` does for one network.

    Segments that are not there count neither in the statistics nor in the gradient. A row without any segment keeps
    its running statistics.

    Args:
        rows: Replicas, or FusionNets of all replicas where ``axis`` is given.
        width: Features D.
        axis: The FusionNet axis, if the rows are FusionNets.
        momentum: Share of the new batch in the running statistics.
        epsilon: Added to the variance.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self, rows: int, width: int, *, axis: FusionAxis | None = None, momentum: float = 0.1, epsilon: float = 1e-5
    ) -> None:
        super().__init__()
        self.axis, self.momentum, self.epsilon = axis, momentum, epsilon
        self.weight = nn.Parameter(torch.ones(rows, width))
        self.bias = nn.Parameter(torch.zeros(rows, width))
        self.register_buffer("running_mean", torch.zeros(rows, width))
        self.register_buffer("running_var", torch.ones(rows, width))

    def forward(self, x_RBTD: Tensor, segments: Segments, *, offset_RD: Tensor | None = None) -> Tensor:
        """Normalises (rows, B, T, D) by the batch in training, by the running statistics in evaluation.

        Args:
            x_RBTD: The features.
            segments: Which of them are there.
            offset_RD: Added to the features; None for zeros. A batch's own statistics take it away again, so features
                that are zero throughout come out as exactly the norm's own bias, with no rounding error to blow up.
        """
        if not self.training:
            scale_RD, shift_RD = self.affine(offset_RD)
            return torch.addcmul(shift_RD[:, None, None], x_RBTD, scale_RD[:, None, None])
        mask = segments.mask_RBT(x_RBTD.dtype)
        if mask is not None and self.axis is not None:
            mask = self.axis.spread(mask)
        rows, width = self.weight.shape
        mask_RN1 = None if mask is None else mask.reshape(rows, -1, 1)
        y: Tensor
        y, mean, variance, count = _Normalise.apply(  # type: ignore[no-untyped-call]
            x_RBTD.reshape(rows, -1, width), self.weight, self.bias, mask_RN1, self.epsilon
        )
        self.remember(mean if offset_RD is None else mean + offset_RD, variance, count)
        return y.view(x_RBTD.shape)

    def affine(self, offset_RD: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Returns the factor and the summand of each feature in evaluation, with an offset of the features counted."""
        scale_RD = self.weight * torch.rsqrt(self.running_var + self.epsilon)
        mean_RD = self.running_mean if offset_RD is None else self.running_mean - offset_RD
        return scale_RD, self.bias - mean_RD * scale_RD

    @torch.no_grad()
    def remember(self, mean_RD: Tensor, variance_RD: Tensor, count_R1: Tensor) -> None:
        """Moves the running statistics towards a batch's mean and biased variance, but of rows without a segment."""
        unbiased_RD = variance_RD * (count_R1 / (count_R1 - 1).clamp(min=1))
        share_R1 = self.momentum * (count_R1 > 0)
        self.running_mean.copy_(
            torch.where(share_R1 > 0, self.running_mean.lerp(mean_RD, self.momentum), self.running_mean)
        )
        self.running_var.copy_(
            torch.where(share_R1 > 0, self.running_var.lerp(unbiased_RD, self.momentum), self.running_var)
        )


class _Normalise(torch.autograd.Function):
    """Normalisation by the batch's own statistics, with the closed-form gradient (a third of autograd's passes).

    Masked or not, the sums run over the same elements in the same order, so a neighbour's short batch changes no bit.
    Features of less precision are normalised in float32.
    """

    @staticmethod
    def forward(
        ctx: Any, x_RND: Tensor, weight_RD: Tensor, bias_RD: Tensor, mask_RN1: Tensor | None, epsilon: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        given, x_RND = x_RND.dtype, x_RND.to(weight_RD.dtype)
        mask_RN1 = None if mask_RN1 is None else mask_RN1.to(weight_RD.dtype)
        if mask_RN1 is None:
            count_R1 = x_RND.new_full((x_RND.shape[0], 1), x_RND.shape[1])
        else:
            count_R1 = mask_RN1.sum(1)
            x_RND = torch.where(mask_RN1 > 0, x_RND, 0.0)
        divisor_R1 = count_R1.clamp(min=1)
        mean_RD = x_RND.sum(1) / divisor_R1
        centred_RND = x_RND - mean_RD[:, None]
        if mask_RN1 is not None:
            centred_RND *= mask_RN1
        variance_RD = torch.linalg.vector_norm(centred_RND, dim=1).square() / divisor_R1
        inverse_RD = torch.rsqrt(variance_RD + epsilon)
        normal_RND = centred_RND.mul_(inverse_RD[:, None])
        ctx.save_for_backward(normal_RND.to(given), weight_RD, inverse_RD, mask_RN1, divisor_R1)
        ctx.mark_non_differentiable(mean_RD, variance_RD, count_R1)
        y_RND = torch.addcmul(bias_RD[:, None], normal_RND, weight_RD[:, None])
        return y_RND.to(given), mean_RD, variance_RD, count_R1

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        normal_RND, weight_RD, inverse_RD, mask_RN1, divisor_R1 = ctx.saved_tensors
        given, normal_RND, grad_RND = normal_RND.dtype, normal_RND.to(weight_RD.dtype), grads[0].to(weight_RD.dtype)
        if mask_RN1 is not None:
            grad_RND = grad_RND * mask_RN1
        grad_bias_RD = grad_RND.sum(1)
        grad_weight_RD = (grad_RND * normal_RND).sum(1)
        input_grad = torch.addcmul(
            grad_RND - (grad_bias_RD / divisor_R1)[:, None],
            normal_RND,
            (grad_weight_RD / divisor_R1)[:, None],
            value=-1,
        )
        input_grad *= (weight_RD * inverse_RD)[:, None]
        if mask_RN1 is not None:
            input_grad *= mask_RN1
        return input_grad.to(given), grad_weight_RD, grad_bias_RD, None, None
