"""What a FusionNet makes of the modalities at one step: weights that sum to 1 (Sec. III-D)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from pamfn.model.blocks import activated
from pamfn.replicas.axis import FusionAxis
from pamfn.replicas.layers import Linear, batched_linear
from pamfn.replicas.norm import BatchNorm
from pamfn.replicas.segments import Segments


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


def side_by_side(axis: FusionAxis, nets: Linear, x_RBTD: Tensor) -> Tensor:
    """Returns every FusionNet's linear map of what its replica's nets all read, (R, B, T, D) to (R, B, T, K * outputs).

    It is one product with their weights side by side; places beyond a replica's own K repeat its first net.
    """
    return batched_linear(x_RBTD, axis.by_replica(nets.weight).flatten(1, 2), axis.by_replica(nets.bias).flatten(1, 2))
