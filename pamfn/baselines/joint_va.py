"""Joint-VA (Badamdorj et al., ICCV 2021): bimodal attention with a noise sentinel (Table II)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from pamfn.baselines.plain_branch import Embedding
from pamfn.baselines.scored import Scored
from pamfn.options import Between


class SentinelAttention(nn.Module):
    r"""Attention that can go nowhere: a learned sentinel stands among the keys, and its value is zero.

    softmax(Q [K, s]^T / sqrt(D)) [V, 0]. What a query gives to the sentinel s it does not read, so a noisy stream is
    discounted segment by segment. No map has a bias, so a value of zero stays zero.

    Args:
        width: Features D.
        heads: Attention heads; must divide ``width``.
        dropout: Dropout on the attention weights.

    Raises:
        ValueError: If ``heads`` does not divide ``width``.
    """

    def __init__(self, width: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"heads: {heads} does not divide width {width}; take a divisor of it")
        self.sentinel = nn.Parameter(torch.zeros(width))  # at first neither liked nor disliked by any query
        self.attention = nn.MultiheadAttention(width, heads, dropout=dropout, bias=False, batch_first=True)

    def forward(self, query_BTD: Tensor, read_BSD: Tensor) -> tuple[Tensor, Tensor]:
        """Reads segments.

        Args:
            query_BTD: The segments that ask.
            read_BSD: The segments that are read.

        Returns:
            What was read, (B, T, D), and the weights, (B, T, S + 1), which sum to 1; the last is the sentinel's.
        """
        sentinel_B1D = self.sentinel.expand(len(read_BSD), 1, -1)
        key = torch.cat([read_BSD, sentinel_B1D], dim=1)
        value = torch.cat([read_BSD, torch.zeros_like(sentinel_B1D)], dim=1)
        read_BTD, weights_BTS = self.attention(query_BTD, key, value)
        return read_BTD, weights_BTS


class JointVA(nn.Module):
    """Joint-VA, scoring a video instead of its highlights.

    Each stream is embedded, asks by bimodal attention what the segments of both streams say, and adds what it reads
    to itself (layer norm). The two are put side by side, averaged over time, and scored by a hidden layer and a
    sigmoid.

    No code is public and the paper of PAMFN does not describe its version. The attention is the original's; open and
    chosen here are the embedding (that of PAMFN's branches), one head, no positions, and the form of the score. At
    inputs of 1024 and 768 and width 256 these are 1,973,249 parameters, beside the published 1.97M.

    Args:
        inputs: Width of each of its two streams, by name.
        width: Features D.
        embedding_dropout: Dropout after the embeddings.
        attention_dropout: Dropout on the attention weights.
        head_dropout: Dropout before the score.
        heads: Attention heads; must divide ``width``.
        reads: What a stream reads: the segments of both streams, or of the other alone.
        hidden: Width of the score's hidden layer, in multiples of ``width``.

    Raises:
        ValueError: If there are not two streams, or ``heads`` does not divide ``width``.
    """

    def __init__(
        self,
        inputs: Mapping[str, int],
        *,
        width: int,
        embedding_dropout: float,
        attention_dropout: float,
        head_dropout: float,
        heads: Annotated[int, Between(1, 64)] = 1,
        reads: Literal["both", "other"] = "both",
        hidden: Annotated[int, Between(1, 8)] = 2,
    ) -> None:
        super().__init__()
        if len(inputs) != 2:
            raise ValueError(f"inputs: {', '.join(inputs)} are {len(inputs)} streams, and Joint-VA reads two")
        self.streams, self.reads = tuple(inputs), reads
        self.embeddings = nn.ModuleDict({s: Embedding(i, width, dropout=embedding_dropout) for s, i in inputs.items()})
        self.attentions = nn.ModuleDict(
            {s: SentinelAttention(width, heads=heads, dropout=attention_dropout) for s in inputs}
        )
        self.norms = nn.ModuleDict({s: nn.LayerNorm(width) for s in inputs})
        self.hidden = nn.Linear(2 * width, hidden * width)
        self.dropout = nn.Dropout(head_dropout)
        self.score = nn.Linear(hidden * width, 1)

    def forward(self, x: Mapping[str, Tensor]) -> Scored:
        """Scores videos; ``x`` maps each stream to its features (B, T, inputs)."""
        embedded = {stream: self.embeddings[stream](x[stream]) for stream in self.streams}
        both_BSD = torch.cat([embedded[stream] for stream in self.streams], dim=1)
        joint = []
        for stream, other in (self.streams, self.streams[::-1]):
            mine_BTD = embedded[stream]
            read_BTD, _ = self.attentions[stream](mine_BTD, both_BSD if self.reads == "both" else embedded[other])
            joint.append(self.norms[stream](mine_BTD + read_BTD))
        pooled_BD = torch.cat(joint, dim=-1).mean(1)  # side by side, then over time
        hidden = self.dropout(functional.relu(self.hidden(pooled_BD)))
        return Scored(torch.sigmoid(self.score(hidden))[:, 0])
