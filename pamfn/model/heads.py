"""Score heads: the last features of a network to a score in (0, 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pamfn.model.blocks import activated, dropped
from pamfn.replicas.layers import Linear
from pamfn.replicas.noise import Noise
from pamfn.replicas.norm import BatchNorm
from pamfn.replicas.segments import Segments


class ScoreHead(nn.Module):
    """Dropout, one fully-connected layer, sigmoid (Sec. III-B).

    Args:
        rows: Replicas.
        inputs: Features in: D for a branch, 3 D for the mixed branch.
        dropout: Dropout before the layer.
        site: Name of its noise.
    """

    def __init__(self, rows: int, inputs: int, *, dropout: float, site: str) -> None:
        super().__init__()
        self.dropout, self.site = dropout, site
        self.score = Linear(rows, inputs, 1)

    def forward(self, x_RB1D: Tensor, segments: Segments, noise: Noise | None) -> Tensor:
        """Maps pooled features (R, B, 1, D) to scores (R, B)."""
        x_RB1D = dropped(x_RB1D, self.dropout, noise if self.training else None, self.site)
        return torch.sigmoid(self.score(x_RB1D))[..., 0, 0]


class HiddenScoreHead(nn.Module):
    """The released final head: dropout, linear, batch norm, ReLU, dropout 0.5, linear, sigmoid.

    Args:
        rows: Replicas.
        inputs: Features in.
        hidden: Width of the hidden layer, D / r in the release.
        dropout: Dropout before the first layer.
        site: Name of its noise.
    """

    def __init__(self, rows: int, inputs: int, hidden: int, *, dropout: float, site: str) -> None:
        super().__init__()
        self.dropout, self.site = dropout, site
        self.hidden = Linear(rows, inputs, hidden)
        self.norm = BatchNorm(rows, hidden)
        self.score = Linear(rows, hidden, 1)

    def forward(self, x_RB1D: Tensor, segments: Segments, noise: Noise | None) -> Tensor:
        """Maps pooled features (R, B, 1, inputs) to scores (R, B)."""
        noise = noise if self.training else None
        x_RB1D = dropped(x_RB1D, self.dropout, noise, self.site)
        hidden = activated(self.hidden, self.norm, x_RB1D, segments, "relu")
        return torch.sigmoid(self.score(dropped(hidden, 0.5, noise, f"{self.site}.hidden")))[..., 0, 0]
