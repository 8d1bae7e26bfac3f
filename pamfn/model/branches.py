"""Modality-specific branches (Sec. III-B.1): one feature stream through N residual stages to a score."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pamfn.model.blocks import Embedding, ResidualBlock
from pamfn.model.heads import ScoreHead, classified
from pamfn.model.output import Output
from pamfn.replicas.noise import Noise
from pamfn.replicas.precision import exactly
from pamfn.replicas.segments import Segments, pad_time, pool_globally


class Standardise(nn.Module):
    """Subtracts a stream's mean and divides by its deviation, both of the training fold; padding stays zero.

    Args:
        rows: Replicas.
        inputs: Width of the stream's features.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, rows: int, inputs: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(rows, inputs))
        self.register_buffer("scale", torch.ones(rows, inputs))

    def forward(self, x_RBTI: Tensor, segments: Segments) -> Tensor:
        """Maps (R, B, T, inputs) to the same shape."""
        x_RBTI = (x_RBTI - self.mean[:, None, None]) * self.scale[:, None, None]
        mask = segments.real_mask_RBT(x_RBTI.dtype)
        return x_RBTI if mask is None else x_RBTI * mask[..., None]


class Branch(nn.Module):
    """One modality's branch: embedding, N stages of a residual block and a pool, and a regression layer.

    Stages 1 to N-1 end in a pool by 2, stage N in the global mean. Videos shorter than 2^(N-1) segments count as
    zero-padded to that. For highlight detection there are no pools, and the layer classifies every segment (Sec. IV-G).

    Args:
        rows: Replicas R.
        modality: Name of its stream.
        inputs: Width of the stream's features (1024 RGB and flow, 768 audio in the release).
        width: Features D.
        stages: N.
        embedding_dropout: Dropout after the embedding.
        head_dropout: Dropout before the score.
        standardise: Whether to standardise inputs with the training fold's statistics (not in the paper).
        pools: Whether stages end in pools, for one score a video; without, every segment is classified.
    """

    def __init__(
        self,
        rows: int,
        modality: str,
        inputs: int,
        *,
        width: int,
        stages: int,
        embedding_dropout: float,
        head_dropout: float,
        standardise: bool = False,
        pools: bool = True,
    ) -> None:
        super().__init__()
        self.modality, self.stages, self.pools = modality, stages, pools
        self.standardise = Standardise(rows, inputs) if standardise else None
        self.embedding = Embedding(rows, inputs, width, dropout=embedding_dropout, site=f"{modality}.embedding")
        self.blocks = nn.ModuleList(ResidualBlock(rows, width) for _ in range(stages))
        self.head = ScoreHead(rows, width, dropout=head_dropout, site=f"{modality}.head")

    def features(self, x_RBTI: Tensor, segments: Segments, noise: Noise | None) -> list[Tensor]:
        """Returns the N + 1 feature maps that the fusion reads.

        Args:
            x_RBTI: Stream features, (R, B, T, inputs).
            segments: Lengths of the videos.
            noise: The step's noise; None without dropout.

        Returns:
            The embedding (R, B, T, D) and each stage's output, pooled to T/2, T/4, ..., 1 steps, or of T steps each.
        """
        shortest = 2 ** (self.stages - 1) if self.pools else 1
        if self.standardise is not None:
            x_RBTI = self.standardise(x_RBTI, segments)
        x_RBTI, segments = pad_time(x_RBTI, shortest), segments.at_least(shortest)
        maps = [self.embedding(x_RBTI, segments, noise)]
        for block in self.blocks[:-1]:
            maps.append(block(maps[-1], segments, pool=self.pools))
            segments = segments.halved() if self.pools else segments
        last = self.blocks[-1](maps[-1], segments)
        return [*maps, pool_globally(last, segments) if self.pools else last]

    def forward(self, x: Mapping[str, Tensor], segments: Segments, noise: Noise | None) -> Output:
        """Scores videos by this stream alone; ``x`` maps each modality to its features (R, B, T, inputs)."""
        last_RBTD = self.features(x[self.modality], segments, noise)[-1]
        with exactly(last_RBTD.device):
            last_RBTD = last_RBTD.to(self.head.score.weight.dtype)
            if not self.pools:
                return classified(self.head, last_RBTD, segments, noise)
            return Output(self.head(last_RBTD, segments.single(), noise))
