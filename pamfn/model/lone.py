"""What is left of CMFD where a decision enables one FusionNet alone (Table VII, unranked)."""

from __future__ import annotations

from torch import Tensor, nn

from pamfn.replicas.layers import Linear


class LoneFusion(nn.Module):
    """W_v f_c + b_v of the one FusionNet c that is enabled.

    Eq. 11's softmax over one score is 1 whatever the query and the keys say, so they are left out, and so is the
    dropout of its weight. For the same reason Eq. 12's gradient would end there: a softmax that says 1 has no slope,
    and PolicyNet and the temperature would never learn. The soft decision's gradient is therefore lent to the weight
    behind the softmax instead of the score before it, as the Straight-Through Gumbel Estimator [43] has it.

    The paper's words on unranked FusionNets allow another reading, a decision on each FusionNet of its own; here the
    decision is one-hot, as they say.

    Args:
        rows: Replicas R.
        width: Features D; None for Weighted Fusion in CMFD's place, which has no value map.
    """

    def __init__(self, rows: int, width: int | None) -> None:
        super().__init__()
        self.value = None if width is None else Linear(rows, width, width)

    def forward(self, cross_RKBTD: Tensor, mask_RKBT: Tensor) -> tuple[Tensor, Tensor]:
        """Returns features (R, B, T, D) and the one-hot weights (R, 1, K, B, T).

        Args:
            cross_RKBTD: The FusionNets' features.
            mask_RKBT: Eq. 12's mask, 0 for FusionNet c alone.
        """
        hard = mask_RKBT.detach()
        weights_RKBT = (hard == 0).to(hard.dtype) + (mask_RKBT - hard)
        features = (weights_RKBT[..., None] * cross_RKBTD).sum(1)
        return features if self.value is None else self.value(features), weights_RKBT[:, None]
