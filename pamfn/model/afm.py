"""Adaptive Fusion Module (Sec. III-D): K ranked FusionNets and the PolicyNet that decides how many are enabled."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from pamfn.model.blocks import ResidualBlock, activated
from pamfn.replicas.axis import FusionAxis
from pamfn.replicas.layers import Linear, batched_linear
from pamfn.replicas.mixtures import mixtures
from pamfn.replicas.noise import Noise
from pamfn.replicas.norm import BatchNorm
from pamfn.replicas.segments import Segments

DISABLED = -1e9  # the "negative infinite number" of Eq. 11, finite so that a gradient times it is no NaN


class AttentionWeights(nn.Module):
    """FusionNet weights as the paper has them: K unshared attention networks over three shared projections.

    Each modality goes through one nonlinear projection that all FusionNets share; each FusionNet reads the three with
    two fully-connected layers and a softmax over modalities. The paper leaves the projection's form open; here it is
    that of the release's trunk (linear, batch norm, ReLU). It leaves the hidden width open as well, here D / 4.

    Args:
        rows: Replicas R.
        axis: The FusionNet axis.
        width: Features D.
        modalities: M.
    """

    def __init__(self, rows: int, axis: FusionAxis, width: int, modalities: int) -> None:
        super().__init__()
        self.fusion_axis = axis
        hidden = max(width // 4, 4)
        self.projections = nn.ModuleList(Linear(rows, width, width) for _ in range(modalities))
        self.norms = nn.ModuleList(BatchNorm(rows, width) for _ in range(modalities))
        self.hidden = Linear(axis.total, modalities * width, hidden, axis=axis)
        self.weights = Linear(axis.total, hidden, modalities, axis=axis)

    def forward(self, modal: list[Tensor], segments: Segments) -> Tensor:
        """Maps M features (R, B, T, D) to weights (F, B, T, M) that sum to 1 over M."""
        read = [
            activated(cast("Linear", project), cast("BatchNorm", norm), x, segments, "relu")
            for project, norm, x in zip(self.projections, self.norms, modal, strict=True)
        ]
        axis = self.fusion_axis
        hidden_RBTKH = torch.unflatten(side_by_side(axis, self.hidden, torch.cat(read, dim=-1)), -1, (axis.most, -1))
        hidden_FNH = axis.by_net(functional.relu(hidden_RBTKH).movedim(-2, 1)).flatten(1, 2)
        logits_FMN = torch.baddbmm(self.weights.bias[:, :, None], self.weights.weight, hidden_FNH.transpose(1, 2))
        return torch.unflatten(torch.softmax(logits_FMN, dim=1).movedim(1, -1), 1, modal[0].shape[1:3])


class TrunkWeights(nn.Module):
    """FusionNet weights as the release has them: a trunk a modality that ends in K channels, softmax over modalities.

    Args:
        rows: Replicas R.
        axis: The FusionNet axis.
        width: Features D.
        modalities: M.
    """

    def __init__(self, rows: int, axis: FusionAxis, width: int, modalities: int) -> None:
        super().__init__()
        self.fusion_axis = axis
        self.trunks = nn.ModuleList(Linear(rows, width, width) for _ in range(modalities))
        self.norms = nn.ModuleList(BatchNorm(rows, width) for _ in range(modalities))
        self.channels = nn.ModuleList(Linear(axis.total, width, 1, axis=axis) for _ in range(modalities))

    def forward(self, modal: list[Tensor], segments: Segments) -> Tensor:
        """Maps M features (R, B, T, D) to weights (F, B, T, M) that sum to 1 over M."""
        axis, logits = self.fusion_axis, []
        for trunk, norm, channel, x in zip(self.trunks, self.norms, self.channels, modal, strict=True):
            hidden = activated(cast("Linear", trunk), cast("BatchNorm", norm), x, segments, "relu")
            logits.append(side_by_side(axis, cast("Linear", channel), hidden))
        return torch.softmax(axis.by_net(torch.stack(logits, dim=1).movedim(-1, 1)), dim=1).movedim(1, -1)


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


def side_by_side(axis: FusionAxis, nets: Linear, x_RBTD: Tensor) -> Tensor:
    """Returns every FusionNet's linear map of what its replica's nets all read, (R, B, T, D) to (R, B, T, K * outputs).

    It is one product with their weights side by side; places beyond a replica's own K repeat its first net.
    """
    return batched_linear(x_RBTD, axis.by_replica(nets.weight).flatten(1, 2), axis.by_replica(nets.bias).flatten(1, 2))


def decide(logits_RBTK: Tensor, enabled_RK: Tensor, tau_R: Tensor, gumbel_RBTK: Tensor | None) -> tuple[Tensor, Tensor]:
    """Returns the decision and its straight-through mask (Eq. 9, 10 and 12).

    Eq. 9 decides by log P + G without the temperature; Eq. 10's soft decision divides by it, and Eq. 12 lends its
    gradient to the mask. Without noise the decision is the arg max.

    Args:
        logits_RBTK: PolicyNet's logits at the stage's time steps.
        enabled_RK: Which FusionNets a replica has.
        tau_R: Temperature of each replica.
        gumbel_RBTK: Samples of Gumbel(0, 1), or None in evaluation.

    Returns:
        The decision c from 1 to K, (R, B, T), and the mask (R, B, T, K): 0 for ranks up to c, hugely negative beyond.
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
    hard = torch.where(rank_K11 <= decision_RBT[:, None], 0.0, DISABLED).to(noisy.dtype)
    return decision_RBT + 1, (hard + (soft - soft.detach())).movedim(1, -1)


class AdaptiveFusion(nn.Module):
    """K fused views of the previous stage's features, and the decision which of them the step uses.

    Args:
        rows: Replicas R.
        axis: The FusionNet axis.
        width: Features D.
        modalities: M.
        design: ``attention`` (the paper) or ``trunk`` (the release).
        policy_layers: Layers of PolicyNet.
        activation: Activation of the blocks that refine fused features.
        site: Name of its noise.
    """

    def __init__(
        self,
        rows: int,
        axis: FusionAxis,
        width: int,
        modalities: int,
        *,
        design: str,
        policy_layers: int,
        activation: str,
        site: str,
    ) -> None:
        super().__init__()
        self.fusion_axis, self.site = axis, site
        if design == "attention":
            self.mix: nn.Module = AttentionWeights(rows, axis, width, modalities)
        else:
            self.mix = TrunkWeights(rows, axis, width, modalities)
        self.refine = ResidualBlock(axis.total, width, activation=activation, axis=axis)
        self.policy = PolicyNet(rows, axis, width, modalities, layers=policy_layers)

    def fused(self, modal: list[Tensor], segments: Segments, *, pool: bool) -> Tensor:
        """Returns each FusionNet's refined features, (F, B, T, D) (Eq. 5), or (F, B, T // 2, D) pooled (Eq. 6)."""
        axis = self.fusion_axis
        summed = mixtures(modal, axis.by_replica(self.mix(modal, segments)))
        refined: Tensor = self.refine(axis.by_net(summed), segments, pool=pool)
        return refined

    def decision(self, logits_RBTK: Tensor, tau_R: Tensor, noise: Noise | None) -> tuple[Tensor, Tensor]:
        """Returns the decision (R, B, T) and the mask (R, B, T, K) from logits at the stage's time steps."""
        gumbel = None if noise is None else noise.gumbel(logits_RBTK, self.site)
        return decide(logits_RBTK, self.fusion_axis.enabled_RK, tau_R, gumbel)
