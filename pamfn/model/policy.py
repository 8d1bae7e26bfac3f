"""PolicyNet, and the decision which FusionNets a step uses (Sec. III-D)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pamfn.model.fusion_nets import side_by_side
from pamfn.replicas.axis import FusionAxis
from pamfn.replicas.layers import Linear

DISABLED = -1e9  # the "negative infinite number" of Eq. 11, finite so that a gradient times it is no NaN


class PolicyNet(nn.Module):
    """Fully-connected layers from the modalities' features, side by side, to the logits of K decisions (Eq. 7, 8).

    Args:
        rows: Replicas R.
        axis: The FusionNet axis.
        width: Features D; the hidden layer of the paper's two has D as well (the paper leaves it open).
        modalities: M.
        layers: 2 in the paper, 1 in the release.
    """

    def __init__(self, rows: int, axis: FusionAxis, width: int, modalities: int, *, layers: int) -> None:
        super().__init__()
        self.fusion_axis = axis
        self.hidden = Linear(rows, modalities * width, width) if layers == 2 else None
        self.logits = Linear(axis.total, width if layers == 2 else modalities * width, 1, axis=axis)

    def forward(self, modal: list[Tensor]) -> Tensor:
        """Maps M features (R, B, T, D) to logits (R, B, T, K); those beyond a replica's own K mean nothing."""
        x = torch.cat(modal, dim=-1)
        if self.hidden is not None:
            x = functional.relu(self.hidden(x))
        return side_by_side(self.fusion_axis, self.logits, x)


def decide(
    logits_RBTK: Tensor, enabled_RK: Tensor, tau_R: Tensor, gumbel_RBTK: Tensor | None, *, ranked: bool = True
) -> tuple[Tensor, Tensor]:
    """Returns the decision and its straight-through mask (Eq. 9, 10 and 12).

    Eq. 9 decides by log P + G without the temperature; Eq. 10's soft decision divides by it, and Eq. 12 lends its
    gradient to the mask. Without noise the decision is the arg max.

    Args:
        logits_RBTK: PolicyNet's logits at the stage's time steps.
        enabled_RK: Which FusionNets a replica has.
        tau_R: Temperature of each replica.
        gumbel_RBTK: Samples of Gumbel(0, 1), or None in evaluation.
        ranked: Whether a decision c enables FusionNets 1 to c (the paper), or c alone (Table VII).

    Returns:
        The decision c from 1 to K, (R, B, T), and the mask (R, K, B, T): 0 for those enabled, hugely negative else.
    """
    enabled_RK11 = enabled_RK[:, :, None, None]
    logits_RKBT = torch.where(enabled_RK11, logits_RBTK.movedim(-1, 1).contiguous(), DISABLED)
    noisy = torch.log_softmax(logits_RKBT, dim=1)  # over K outside B and T: several times faster than innermost
    if gumbel_RBTK is not None:
        noisy = noisy + gumbel_RBTK.movedim(-1, 1)
    noisy = torch.where(enabled_RK11, noisy, DISABLED)
    soft = torch.softmax(noisy / tau_R[:, None, None, None], dim=1)
    decision_RBT = noisy.max(dim=1).indices
    rank_K11 = torch.arange(noisy.shape[1], device=noisy.device)[:, None, None]
    chosen = rank_K11 <= decision_RBT[:, None] if ranked else rank_K11 == decision_RBT[:, None]
    hard = torch.where(chosen, 0.0, DISABLED).to(noisy.dtype)
    return decision_RBT + 1, hard + (soft - soft.detach())


def all_on(enabled_RK: Tensor, videos: int, steps: int) -> Tensor:
    """Returns the mask (R, K, B, T) of FusionNets that nothing decides on: 0 for all that a replica has."""
    return torch.where(enabled_RK, 0.0, DISABLED)[:, :, None, None].expand(-1, -1, videos, steps)
