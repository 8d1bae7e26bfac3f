"""Cross-attention with one query a time step, the form of both decoders (Eq. 4 and 11)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pamfn.replicas.layers import Linear
from pamfn.replicas.noise import Noise


class OneQueryAttention(nn.Module):
    r"""softmax(-+ q K^T / sqrt(d)) V over J tokens of the same time step.

    With one query a step, keys and values need not be made for every token: the scores are (W_k^T q) . f, since the
    key's bias shifts all tokens of a step alike, and the output is W_v (sum a f) + b_v sum a. Both are exact.

    Args:
        rows: Replicas R.
        inputs: Width of the query's input.
        width: Feature width D of tokens and output.
        heads: Attention heads; must divide ``width``.
        negative: Whether scores are negated, so that the token least like the query weighs most.
        dropout: Dropout of the weights.
        query_layers: 1 for the paper's linear map; 2 for the release's two maps without a nonlinearity between.
        site: Name of its noise.

    Raises:
        ValueError: If ``heads`` does not divide ``width``; the message names both values.
    """

    def __init__(
        self,
        rows: int,
        inputs: int,
        width: int,
        *,
        heads: int,
        negative: bool,
        dropout: float,
        query_layers: int,
        site: str,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"heads: {heads} does not divide width {width}")
        self.heads, self.dropout, self.site = heads, dropout, site
        self.scale = (-1 if negative else 1) / math.sqrt(width // heads)
        self.project = Linear(rows, inputs, width) if query_layers == 2 else None
        self.query = Linear(rows, width if query_layers == 2 else inputs, width)
        self.key = Linear(rows, width, width)
        self.value = Linear(rows, width, width)

    def forward(
        self, query_RBTI: Tensor, tokens_RJBTD: Tensor, mask_RJBT: Tensor | None, noise: Noise | None
    ) -> tuple[Tensor, Tensor]:
        """Returns features (R, B, T, D) and weights (R, H, J, B, T), which sum to 1 over J before dropout.

        Args:
            query_RBTI: What the query is made of.
            tokens_RJBTD: The J tokens of every step.
            mask_RJBT: Added to the scores (Eq. 11), or None.
            noise: The step's noise; None without dropout.
        """
        if self.project is not None:
            query_RBTI = self.project(query_RBTI)
        asked_RHBTD = self._asked(self.query(query_RBTI)) * self.scale
        scores = torch.stack([(asked[:, None] * tokens_RJBTD).sum(-1) for asked in asked_RHBTD.unbind(1)], dim=1)
        if mask_RJBT is not None:
            scores = scores + mask_RJBT[:, None]
        weights_RHJBT = torch.softmax(scores, dim=2)
        used = weights_RHJBT
        if noise is not None and self.training:
            used = noise.token_dropout(used, self.dropout, self.site)
        return self._answer(used, tokens_RJBTD), weights_RHJBT

    def _asked(self, query_RBTD: Tensor) -> Tensor:
        """Returns W_k^T q of every head, (R, H, B, T, D)."""
        rows, videos, steps, width = query_RBTD.shape
        query_RHND = query_RBTD.reshape(rows, -1, self.heads, width // self.heads).transpose(1, 2)
        key_RHDD = torch.unflatten(self.key.weight, 1, (self.heads, -1))
        return torch.unflatten(query_RHND @ key_RHDD, 2, (videos, steps))

    def _answer(self, weights_RHJBT: Tensor, tokens_RJBTD: Tensor) -> Tensor:
        """Returns W_v (sum a f) + b_v sum a, the heads side by side, (R, B, T, D)."""
        rows, _, _, videos, steps = weights_RHJBT.shape
        read_RHBTD = torch.stack([(w[..., None] * tokens_RJBTD).sum(1) for w in weights_RHJBT.unbind(1)], dim=1)
        value_RHDD = torch.unflatten(self.value.weight, 1, (self.heads, -1))
        answer_RHND = read_RHBTD.flatten(2, 3) @ value_RHDD.transpose(-1, -2)
        total_RHN1 = weights_RHJBT.sum(2).flatten(2)[..., None]
        answer_RHND = answer_RHND + total_RHN1 * torch.unflatten(self.value.bias, 1, (self.heads, 1, -1))
        return answer_RHND.transpose(1, 2).reshape(rows, videos, steps, -1)
