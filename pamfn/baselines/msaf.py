"""MSAF (arXiv 2012.07175): multimodal split attention between the stages of three branches (Table II)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional

from pamfn.baselines.plain_branch import BatchNorm, PlainBranch
from pamfn.baselines.scored import Scored
from pamfn.options import Between


class SplitBlocks(nn.Module):
    """Weighs blocks of channels of all streams against each other, by what all streams say together.

    The channels of each stream are split into blocks of C. Squeeze: blocks are summed, averaged over time and summed
    over streams, (B, C). Joint: linear C to C / r, batch norm, ReLU. Each block then gets C weights by a linear map
    of its own, a softmax across all blocks of all streams makes them sum to 1 channel by channel, and every block is
    multiplied by its weights. A last block that is not full is filled up with zeros.

    Args:
        width: Features D of each stream.
        streams: How many streams.
        block: Channels C of a block; no more than ``width``.
        reduction: r.
        dropout: Chance that a video's block is left out in training.
    """

    def __init__(self, width: int, streams: int, *, block: int, reduction: int, dropout: float) -> None:
        super().__init__()
        self.width, self.block = width, min(block, width)
        self.blocks = math.ceil(width / self.block)
        hidden = max(1, self.block // reduction)
        self.joint = nn.Linear(self.block, hidden)
        self.norm = BatchNorm(hidden)
        self.weigh = nn.Linear(hidden, streams * self.blocks * self.block)  # one map a block, side by side
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Sequence[Tensor]) -> list[Tensor]:
        """Returns streams (B, T, D) with their blocks rescaled."""
        x_BTMNC = torch.stack([self._split(x_BTD) for x_BTD in x], dim=2)
        kept_BMN = self.dropout(x_BTMNC.new_ones(len(x_BTMNC), *x_BTMNC.shape[2:4]))
        x_BTMNC = x_BTMNC * kept_BMN[:, None, ..., None]
        x_BTMNC = x_BTMNC * self.weights(x_BTMNC)[:, None]
        return [x_BTD[..., : self.width] for x_BTD in x_BTMNC.flatten(-2).unbind(2)]

    def weights(self, x_BTMNC: Tensor) -> Tensor:
        """Returns the weights of blocks (B, T, M, N, C), of M streams with N blocks each: (B, M, N, C)."""
        squeezed_BC = x_BTMNC.mean(1).sum((1, 2))
        joint = functional.relu(self.norm(self.joint(squeezed_BC)))
        logits_BMNC = self.weigh(joint).view(-1, *x_BTMNC.shape[2:])
        weights_BMNC: Tensor = logits_BMNC.flatten(1, 2).softmax(1).view_as(logits_BMNC)
        return weights_BMNC

    def _split(self, x_BTD: Tensor) -> Tensor:
        filled = functional.pad(x_BTD, (0, self.blocks * self.block - self.width))
        return torch.unflatten(filled, -1, (self.blocks, self.block))


class SplitAttention(nn.Module):
    """MSAF on PAMFN's branches: split attention after every stage, then late fusion of the pooled features.

    What the last stage pools is rescaled as well; the streams' pooled features are put side by side and scored by
    dropout, one linear map and a sigmoid.

    The paper of PAMFN says no more than that the branches are its own: where the split attention stands, C and r are
    open. Blocks of 128 reduced to half after each of three stages give 5,570,369 parameters at inputs of 1024, 1024
    and 768 and width 256, beside the published 5.56M; the three branches alone have 5,395,459. MSAF's own r is 4.

    Args:
        inputs: Width of each of its two or three streams, by name.
        width: Features D.
        stages: Stages N of each branch.
        embedding_dropout: Dropout after the branches' embeddings.
        head_dropout: Dropout before the score.
        block: Channels C of a block; more than ``width`` count as ``width``.
        reduction: The joint features have C / r channels, at least one.
        block_dropout: Chance that a video's block is left out in training.
    """

    def __init__(
        self,
        inputs: Mapping[str, int],
        *,
        width: int,
        stages: int,
        embedding_dropout: float,
        head_dropout: float,
        block: Annotated[int, Between(1, 1024)] = 128,
        reduction: Annotated[int, Between(1, 64)] = 2,
        block_dropout: Annotated[float, Between(0, 0.95)] = 0.2,
    ) -> None:
        super().__init__()
        self.stages = stages
        self.branches = nn.ModuleDict(
            {
                stream: PlainBranch(of, width=width, stages=stages, embedding_dropout=embedding_dropout)
                for stream, of in inputs.items()
            }
        )
        self.splits = nn.ModuleList(
            SplitBlocks(width, len(inputs), block=block, reduction=reduction, dropout=block_dropout)
            for _ in range(stages)
        )
        self.dropout = nn.Dropout(head_dropout)
        self.score = nn.Linear(len(inputs) * width, 1)

    def forward(self, x: Mapping[str, Tensor]) -> Scored:
        """Scores videos; ``x`` maps each stream to its features (B, T, inputs)."""
        branches: list[tuple[str, PlainBranch]] = list(self.branches.items())  # type: ignore[arg-type]
        streams = [branch.embed(x[stream]) for stream, branch in branches]
        for stage, split in enumerate(self.splits):
            streams = split([branch.stage(stage, of) for (_, branch), of in zip(branches, streams, strict=True)])
        fused_BD = self.dropout(torch.cat(streams, dim=-1)[:, 0])
        return Scored(torch.sigmoid(self.score(fused_BD))[:, 0])
