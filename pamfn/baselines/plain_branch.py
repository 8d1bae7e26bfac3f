"""The modality-specific branch of PAMFN (Sec. III-B.1) for one network, in torch's own layers.

Comparison models that stand on PAMFN's branches use these parts. Their state dicts have the names and shapes of a
replica cut out of `pamfn.model.branches.Branch`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pamfn.replicas.segments import pad_time, pool_by_two


class BatchNorm(nn.BatchNorm1d):
    """Batch norm that also takes one lone value a feature, as `pamfn.replicas.norm.BatchNorm` does: as its own mean."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, D) or (B, D, T) to the same shape."""
        if self.training and len(x) == x.shape[2:].numel() == 1:
            super().forward(torch.cat([x, x]))  # for the running statistics; the rest would be its rounding, blown up
            return functional.batch_norm(
                x - x, torch.zeros_like(self.bias), torch.ones_like(self.bias), self.weight, self.bias, eps=0.0
            )
        return super().forward(x)


class Embedding(nn.Module):
    """Projects a stream's features to width D (Sec. III-A): two of (linear, batch norm, ReLU), then dropout.

    Args:
        inputs: Width of the stream's features.
        width: Features D; the hidden layer has 2 D.
        dropout: Dropout after it.
    """

    def __init__(self, inputs: int, width: int, *, dropout: float) -> None:
        super().__init__()
        self.linear1 = nn.Linear(inputs, 2 * width)
        self.norm1 = BatchNorm(2 * width)
        self.linear2 = nn.Linear(2 * width, width)
        self.norm2 = BatchNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BTI: Tensor) -> Tensor:
        """Maps (B, T, inputs) to (B, T, D)."""
        x_ND = x_BTI.flatten(0, 1)  # batch norm counts all segments of all videos
        x_ND = functional.relu(self.norm1(self.linear1(x_ND)))
        x_ND = functional.relu(self.norm2(self.linear2(x_ND)))
        y_BTD: Tensor = self.dropout(x_ND).unflatten(0, x_BTI.shape[:2])
        return y_BTD


class ResidualBlock(nn.Module):
    """x + two of (kernel-3 convolution over time, batch norm, GELU), nothing after the sum.

    Args:
        width: Features D.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(width, width, 3, padding=1)
        self.norm1 = BatchNorm(width)
        self.conv2 = nn.Conv1d(width, width, 3, padding=1)
        self.norm2 = BatchNorm(width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Maps (B, T, D) to the same shape."""
        x_BDT = x_BTD.transpose(1, 2)
        hidden = functional.gelu(self.norm1(self.conv1(x_BDT)))
        y_BDT: Tensor = x_BDT + functional.gelu(self.norm2(self.conv2(hidden)))
        return y_BDT.transpose(1, 2)


class PlainBranch(nn.Module):
    """One stream through an embedding and N stages of a residual block and a pool, without a regression layer.

    Stages 1 to N-1 end in a pool by 2, stage N in the global mean. Videos shorter than 2^(N-1) segments count as
    zero-padded to that. A fusion that works between the stages calls `embed` and then `stage` for each.

    Args:
        inputs: Width of the stream's features.
        width: Features D.
        stages: N.
        embedding_dropout: Dropout after the embedding.
    """

    def __init__(self, inputs: int, *, width: int, stages: int, embedding_dropout: float) -> None:
        super().__init__()
        self.stages = stages
        self.embedding = Embedding(inputs, width, dropout=embedding_dropout)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(stages))

    def embed(self, x_BTI: Tensor) -> Tensor:
        """Returns the embedding, (B, T, D), of T steps that suffice for every pool."""
        y_BTD: Tensor = self.embedding(pad_time(x_BTI, 2 ** (self.stages - 1)))
        return y_BTD

    def stage(self, index: int, x_BTD: Tensor) -> Tensor:
        """Returns the pooled output of a stage, (B, T // 2, D), or (B, 1, D) of the last.

        Args:
            index: Which stage, 0 to N-1.
            x_BTD: What the stage before it gave.
        """
        y_BTD: Tensor = self.blocks[index](x_BTD)
        return pool_by_two(y_BTD) if index < self.stages - 1 else y_BTD.mean(1, keepdim=True)

    def forward(self, x_BTI: Tensor) -> list[Tensor]:
        """Returns the embedding and each stage's pooled output, N + 1 feature maps of T, T/2, T/4, ..., 1 steps."""
        maps = [self.embed(x_BTI)]
        for index in range(self.stages):
            maps.append(self.stage(index, maps[-1]))
        return maps
