"""Weighted Fusion [62]: features side by side, weighed by a softmax of learnt numbers, the same for every video."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pamfn.replicas.axis import FusionAxis


class WeightedFusion(nn.Module):
    """sum_j softmax(l)_j f_j over J tokens of a time step; the logits l start at 0, that is as the mean.

    It stands in MSFD's place over the M modalities, in CMFD's over the enabled FusionNets (Table VI), and is one of the
    late fusions (Tables IV and V). The paper gives no form for its place in CMFD; here Eq. 12's mask is added before
    the softmax, as there, so that PolicyNet learns in the same way.

    Args:
        rows: Replicas R, or FusionNets of all replicas where ``axis`` is given.
        tokens: J; not for FusionNets, which have one logit each.
        axis: The FusionNet axis, if the tokens are FusionNets.
    """

    def __init__(self, rows: int, tokens: int | None = None, *, axis: FusionAxis | None = None) -> None:
        super().__init__()
        self.axis = axis
        self.logits = nn.Parameter(torch.zeros(rows) if tokens is None else torch.zeros(rows, tokens))

    def forward(self, tokens_RJBTD: Tensor, mask_RJBT: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Returns features (R, B, T, D) and weights (R, 1, J, B, T), which sum to 1 over J.

        Args:
            tokens_RJBTD: The J tokens of every step.
            mask_RJBT: Added to the logits (Eq. 12), or None.
        """
        logits_RJ = self.logits if self.axis is None else self.axis.by_replica(self.logits)
        scores_RJBT = logits_RJ[:, :, None, None].expand(tokens_RJBTD.shape[:-1])
        if mask_RJBT is not None:
            scores_RJBT = scores_RJBT + mask_RJBT
        weights_RJBT = torch.softmax(scores_RJBT, dim=1)
        return (weights_RJBT[..., None] * tokens_RJBTD).sum(1), weights_RJBT[:, None]
