"""Heads: the last features of a network to a score in (0, 1), or to a logit of every segment."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pamfn.model.blocks import activated, dropped
from pamfn.model.output import Output
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
        return torch.sigmoid(self.logits(x_RB1D, segments, noise))[..., 0]

    def logits(self, x_RBTD: Tensor, segments: Segments, noise: Noise | None) -> Tensor:
        """Maps features (R, B, T, D) to what the sigmoid makes a score of each step, (R, B, T)."""
        x_RBTD = dropped(x_RBTD, self.dropout, noise if self.training else None, self.site)
        logits_RBT1: Tensor = self.score(x_RBTD)
        return logits_RBT1[..., 0]


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
        return torch.sigmoid(self.logits(x_RB1D, segments, noise))[..., 0]

    def logits(self, x_RBTD: Tensor, segments: Segments, noise: Noise | None) -> Tensor:
        """Maps features (R, B, T, inputs) to what the sigmoid makes a score of each step, (R, B, T)."""
        noise = noise if self.training else None
        x_RBTD = dropped(x_RBTD, self.dropout, noise, self.site)
        hidden = activated(self.hidden, self.norm, x_RBTD, segments, "relu")
        logits_RBT1: Tensor = self.score(dropped(hidden, 0.5, noise, f"{self.site}.hidden"))
        return logits_RBT1[..., 0]


def classified(head: ScoreHead | HiddenScoreHead, x_RBTD: Tensor, segments: Segments, noise: Noise | None) -> Output:
    """Returns what a head says of every segment: the classification head of highlight detection (Sec. IV-G).

    Args:
        head: The head, whose sigmoid gives a segment's chance to be a highlight.
        x_RBTD: The last features, which no pool has shortened.
        segments: Lengths of the videos; a video's score is the mean over its real segments.
        noise: The step's noise; None without dropout.
    """
    logits_RBT = head.logits(x_RBTD, segments, noise)
    chance_RBT, mask_RBT = torch.sigmoid(logits_RBT), segments.real_mask_RBT(logits_RBT.dtype)
    if mask_RBT is None:
        return Output(chance_RBT.mean(-1), logits_RBT=logits_RBT)
    return Output((chance_RBT * mask_RBT).sum(-1) / mask_RBT.sum(-1).clamp(min=1), logits_RBT=logits_RBT)
