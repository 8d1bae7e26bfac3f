"""Cross-modal Feature Decoder (Sec. III-E)."""

from __future__ import annotations

from torch import Tensor, nn

from pamfn.model.attention import OneQueryAttention
from pamfn.replicas.noise import Noise


class CrossModalDecoder(nn.Module):
    r"""Reads from the enabled FusionNets what neither the mixed branch nor MSFD has.

    Eq. 11: softmax(-Q K^T / sqrt(D) + M) V over the K cross-modal features, one time step at a time. The query is
    made of the mixed features and, where there is an MSFD, what it says beside them. The release negates twice, that is
    not at all: ``negative=False``.

    Args:
        rows: Replicas R.
        width: Feature width D.
        inputs: Width of what the query is made of, 2 D with MSFD's features.
        heads: Attention heads; must divide ``width``. The paper uses 1.
        negative: Whether scores are negated (the paper) or not (the release).
        dropout: Dropout of the weights.
        query_layers: Linear maps that make the query; 1 in the paper, 2 in the release.
        site: Name of its noise.

    Raises:
        ValueError: If ``heads`` does not divide ``width``; the message names both values.
    """

    def __init__(
        self,
        rows: int,
        width: int,
        *,
        inputs: int,
        heads: int,
        negative: bool,
        dropout: float,
        query_layers: int,
        site: str,
    ) -> None:
        super().__init__()
        self.attention = OneQueryAttention(
            rows,
            inputs,
            width,
            heads=heads,
            negative=negative,
            dropout=dropout,
            query_layers=query_layers,
            site=site,
        )

    def forward(self, query_RBTI: Tensor, cross_RKBTD: Tensor, mask_RKBT: Tensor, noise: Noise | None) -> Tensor:
        """Returns features (R, B, T, D).

        Args:
            query_RBTI: The mixed branch's convolved state, and MSFD's output beside it.
            cross_RKBTD: The FusionNets' features.
            mask_RKBT: Eq. 12's mask, 0 where a FusionNet is enabled.
            noise: The step's noise; None without dropout.
        """
        features: Tensor = self.attention(query_RBTI, cross_RKBTD, mask_RKBT, noise)[0]
        return features
