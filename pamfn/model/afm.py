"""Adaptive Fusion Module (Sec. III-D): K ranked FusionNets and the PolicyNet that decides how many are enabled."""

from __future__ import annotations

from torch import Tensor, nn

from pamfn.model.blocks import ResidualBlock
from pamfn.model.fusion_nets import AttentionWeights, TrunkWeights
from pamfn.model.policy import PolicyNet, all_on, decide
from pamfn.replicas.axis import FusionAxis
from pamfn.replicas.mixtures import mixtures
from pamfn.replicas.noise import Noise
from pamfn.replicas.segments import Segments, pool_by_two, pool_globally


class AdaptiveFusion(nn.Module):
    """K fused views of the previous stage's features, and the decision which of them the step uses.

    Args:
        rows: Replicas R.
        axis: The FusionNet axis.
        width: Features D.
        modalities: M.
        design: ``attention`` (the paper) or ``trunk`` (the release).
        policy: ``ranked`` (the paper), ``unranked``, or ``free``: all are on, and there is no PolicyNet (Table VII).
        policy_layers: Layers of PolicyNet.
        activation: Activation of the blocks that refine fused features.
        pools: Whether its stage ends in a pool over time.
        last: Whether its stage is the last, whose pool is over all of a video.
        site: Name of its noise.
    """

    def __init__(
        self,
        rows: int,
        axis: FusionAxis,
        width: int,
        modalities: int,
        *,
        design: str,
        policy: str,
        policy_layers: int,
        activation: str,
        pools: bool,
        last: bool,
        site: str,
    ) -> None:
        super().__init__()
        self.fusion_axis, self.site = axis, site
        self.ranked, self.pools, self.last = policy == "ranked", pools, last
        if design == "attention":
            self.mix: nn.Module = AttentionWeights(rows, axis, width, modalities)
        else:
            self.mix = TrunkWeights(rows, axis, width, modalities)
        self.refine = ResidualBlock(axis.total, width, activation=activation, axis=axis)
        self.policy = None if policy == "free" else PolicyNet(rows, axis, width, modalities, layers=policy_layers)

    def forward(
        self, before: list[Tensor], segments: Segments, tau_R: Tensor | None, noise: Noise | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Fuses each step's modalities in K ways, and decides.

        Args:
            before: Each modality's features of stage i-1, (R, B, T_{i-1}, D).
            segments: Their lengths.
            tau_R: Temperature; None where nothing is decided.
            noise: The step's noise; None decides by the arg max.

        Returns:
            The FusionNets' features (R, K, B, T_i, D), the mask (R, K, B, T_i) and the decision c (R, B, T_i), None
            where there is none.
        """
        cross_RKBTD = self.fusion_axis.by_replica(self._fused(before, segments))
        if self.policy is None:
            return cross_RKBTD, all_on(self.fusion_axis.enabled_RK, *cross_RKBTD.shape[2:4]), None
        assert tau_R is not None  # a network with a PolicyNet has a temperature
        logits_RBTK = self.policy(before)
        if self.pools:
            logits_RBTK = pool_globally(logits_RBTK, segments) if self.last else pool_by_two(logits_RBTK)
        gumbel = None if noise is None else noise.gumbel(logits_RBTK, self.site)
        decision_RBT, mask_RKBT = decide(logits_RBTK, self.fusion_axis.enabled_RK, tau_R, gumbel, ranked=self.ranked)
        return cross_RKBTD, mask_RKBT, decision_RBT

    def _fused(self, before: list[Tensor], segments: Segments) -> Tensor:
        """Returns each FusionNet's refined and pooled features, (F, B, T_i, D) (Eq. 5 and 6)."""
        axis = self.fusion_axis
        summed = mixtures(before, axis.by_replica(self.mix(before, segments)))
        refined: Tensor = self.refine(axis.by_net(summed), segments, pool=self.pools and not self.last)
        return pool_globally(refined, segments, axis) if self.pools and self.last else refined
