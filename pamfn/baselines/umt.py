"""UMT (Liu et al., CVPR 2022): a unified multimodal transformer with bottleneck tokens (Table II)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from pamfn.baselines.scored import Scored
from pamfn.options import Between


class StreamEncoder(nn.Module):
    """One stream on its own: dropout, a linear map, sinusoidal positions, one transformer layer.

    Args:
        inputs: Width of the stream's features.
        width: Features D.
        heads: Attention heads.
        hidden: Width of the feed-forward layer.
        input_dropout: Dropout on the stream's features.
        dropout: Dropout within the layer.
    """

    def __init__(
        self, inputs: int, width: int, *, heads: int, hidden: int, input_dropout: float, dropout: float
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(input_dropout)
        self.project = nn.Linear(inputs, width)
        self.layer = nn.TransformerEncoderLayer(width, heads, hidden, dropout, batch_first=True, norm_first=True)

    def forward(self, x_BTI: Tensor) -> Tensor:
        """Maps (B, T, inputs) to (B, T, D)."""
        x_BTD = self.project(self.dropout(x_BTI))
        y_BTD: Tensor = self.layer(x_BTD + positions(x_BTD))
        return y_BTD


class Bottleneck(nn.Module):
    """Two streams that hear of each other through a few tokens alone.

    The tokens read both streams, each by an attention of its own, and add what they read; then each stream reads the
    tokens and passes a feed-forward layer. Norms come first and residuals around everything.

    Args:
        width: Features D.
        tokens: How many tokens.
        heads: Attention heads.
        hidden: Width of the feed-forward layers.
        dropout: Dropout on attention weights and in the feed-forward layers.
    """

    def __init__(self, width: int, *, tokens: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.tokens_KD = nn.Parameter(torch.randn(tokens, width) / math.sqrt(width))
        self.token_norm, self.filled_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.stream_norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.fills = nn.ModuleList(_attention(width, heads, dropout) for _ in range(2))
        self.reads = nn.ModuleList(_attention(width, heads, dropout) for _ in range(2))
        self.feed_forwards = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, hidden),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(hidden, width),
                nn.Dropout(dropout),
            )
            for _ in range(2)
        )

    def filled(self, normed: list[Tensor]) -> Tensor:
        """Returns the tokens after they read two streams (B, T, D): (B, K, D)."""
        tokens_BKD = self.tokens_KD.expand(len(normed[0]), -1, -1)
        query = self.token_norm(tokens_BKD)
        for fill, of in zip(self.fills, normed, strict=True):
            tokens_BKD = tokens_BKD + fill(query, of, of, need_weights=False)[0]
        return tokens_BKD

    def forward(self, streams: list[Tensor]) -> list[Tensor]:
        """Maps two streams (B, T, D) to the same shapes."""
        normed = [norm(x_BTD) for norm, x_BTD in zip(self.stream_norms, streams, strict=True)]
        tokens_BKD = self.filled_norm(self.filled(normed))
        fused = []
        for x_BTD, query, read, feed_forward in zip(streams, normed, self.reads, self.feed_forwards, strict=True):
            y_BTD = x_BTD + read(query, tokens_BKD, tokens_BKD, need_weights=False)[0]
            fused.append(y_BTD + feed_forward(y_BTD))
        return fused


class QueryGenerator(nn.Module):
    """Makes a query of each segment: the joint features ask learned tokens that stand in the place of a text.

    Args:
        width: Features D.
        tokens: How many tokens.
        heads: Attention heads.
        dropout: Dropout on the attention weights.
    """

    def __init__(self, width: int, *, tokens: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.tokens_KD = nn.Parameter(torch.randn(tokens, width) / math.sqrt(width))
        self.attention = _attention(width, heads, dropout)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Maps joint features (B, T, D) to queries of the same shape."""
        tokens_BKD = self.tokens_KD.expand(len(x_BTD), -1, -1)
        queries_BTD: Tensor = self.attention(x_BTD, tokens_BKD, tokens_BKD, need_weights=False)[0]
        return queries_BTD


class UnifiedTransformer(nn.Module):
    """UMT, scoring a video instead of its moments.

    Each stream passes an encoder of its own, then both pass the bottleneck; their sum, layer-normed, is the joint
    representation. A decoder answers one query a segment from it. In the original a query comes of a text; without
    one, the public form takes the joint representation itself (``queries: joint``), and ``learned`` puts learned
    tokens in the text's place. The score of a video is a sigmoid of a linear map of the decoded queries' mean over
    time, where the original has one saliency a segment.

    The version that the paper of PAMFN compares is not public: 3.78M parameters. Here it is 3,888,129 at inputs of
    1024 and 768 and width 256. With the original's feed-forward layers, of four times the width, it would be
    5,201,409, so they have twice the width here, as near as a whole multiple comes. Positions are added once,
    where the original adds them to the queries and keys of every attention.

    Args:
        inputs: Width of each of its two streams, by name.
        width: Features D.
        head_dropout: Dropout before the score.
        heads: Attention heads; must divide ``width``.
        tokens: Tokens of the bottleneck, and of the query generator.
        layers: Layers of the decoder.
        feed_forward: Width of the feed-forward layers, in multiples of ``width``.
        queries: What the decoder's queries are made of.
        input_dropout: Dropout on the streams' features.
        dropout: Dropout on attention weights and in the feed-forward layers.

    Raises:
        ValueError: If there are not two streams, or ``heads`` does not divide ``width``.
    """

    def __init__(
        self,
        inputs: Mapping[str, int],
        *,
        width: int,
        head_dropout: float,
        heads: Annotated[int, Between(1, 64)] = 8,
        tokens: Annotated[int, Between(1, 64)] = 4,
        layers: Annotated[int, Between(1, 6)] = 1,
        feed_forward: Annotated[int, Between(1, 8)] = 2,
        queries: Literal["joint", "learned"] = "joint",
        input_dropout: Annotated[float, Between(0, 0.95)] = 0.5,
        dropout: Annotated[float, Between(0, 0.95)] = 0.1,
    ) -> None:
        super().__init__()
        if len(inputs) != 2:
            raise ValueError(f"inputs: {', '.join(inputs)} are {len(inputs)} streams, and UMT reads two")
        if width % heads:
            raise ValueError(f"heads: {heads} does not divide width {width}; take a divisor of it")
        hidden = feed_forward * width
        self.encoders = nn.ModuleDict(
            {
                stream: StreamEncoder(
                    of, width, heads=heads, hidden=hidden, input_dropout=input_dropout, dropout=dropout
                )
                for stream, of in inputs.items()
            }
        )
        self.bottleneck = Bottleneck(width, tokens=tokens, heads=heads, hidden=hidden, dropout=dropout)
        self.norm = nn.LayerNorm(width)
        self.generator: nn.Module = nn.Identity()
        if queries == "learned":
            self.generator = QueryGenerator(width, tokens=tokens, heads=heads, dropout=dropout)
        self.decoder = nn.ModuleList(  # not nn.TransformerDecoder, whose layers start as copies of one
            nn.TransformerDecoderLayer(width, heads, hidden, dropout, batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        self.decoded_norm = nn.LayerNorm(width)
        self.head_dropout = nn.Dropout(head_dropout)
        self.score = nn.Linear(width, 1)

    def forward(self, x: Mapping[str, Tensor]) -> Scored:
        """Scores videos; ``x`` maps each stream to its features (B, T, inputs)."""
        first, second = self.bottleneck([encoder(x[stream]) for stream, encoder in self.encoders.items()])
        joint_BTD = self.norm(first + second)
        decoded_BTD = self.generator(joint_BTD)
        for layer in self.decoder:
            decoded_BTD = layer(decoded_BTD, joint_BTD)
        pooled_BD = self.decoded_norm(decoded_BTD).mean(1)
        return Scored(torch.sigmoid(self.score(self.head_dropout(pooled_BD)))[:, 0])


def positions(x_BTD: Tensor) -> Tensor:
    """Returns sinusoids of each step's place, (T, D), of wavelengths from 2 pi to 20,000 pi."""
    steps, width = x_BTD.shape[1:]
    rates = torch.exp(torch.arange(0, width, 2, device=x_BTD.device) * (-math.log(10_000) / width))
    angles = torch.arange(steps, device=x_BTD.device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width].to(x_BTD.dtype)


def _attention(width: int, heads: int, dropout: float) -> nn.MultiheadAttention:
    return nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
