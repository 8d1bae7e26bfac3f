"""Modality-specific Feature Decoder (Sec. III-C)."""

from __future__ import annotations

from torch import Tensor, nn

from pamfn.model.attention import OneQueryAttention
from pamfn.replicas.noise import Noise


class ModalityFeatureDecoder(nn.Module):
    r"""Reads from the modality branches what the mixed branch has not yet seen.

    Eq. 4: softmax(-Q K^T / sqrt(D)) V over the M modalities, one time step at a time. The minus sign is the
    method: the modality *least* like the mixed features gets the largest weight.

    Args:
        rows: Replicas R.
        width: Feature width D, shared by query, key and value (256 in Sec. IV-C).
        heads: Attention heads; must divide ``width``. The paper uses 1.
        dropout: Dropout of the weights.
        query_layers: Linear maps that make the query; the paper's Eq. 2 has 1, the release 2.
        site: Name of its noise.

    Raises:
        ValueError: If ``heads`` does not divide ``width``; the message names both values.
    """

    def __init__(self, rows: int, width: int, *, heads: int, dropout: float, query_layers: int, site: str) -> None:
        super().__init__()
        self.attention = OneQueryAttention(
            rows, width, width, heads=heads, negative=True, dropout=dropout, query_layers=query_layers, site=site
        )

    def forward(self, mixed_RBTD: Tensor, modal_RMBTD: Tensor, noise: Noise | None) -> tuple[Tensor, Tensor]:
        """Returns features (R, B, T, D) and weights (R, H, M, B, T); weights sum to 1 over M (Fig. 7)."""
        features, weights = self.attention(mixed_RBTD, modal_RMBTD, None, noise)
        return features, weights
