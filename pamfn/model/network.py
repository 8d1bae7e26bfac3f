"""The whole network (Fig. 1): branches, N fusion stages, the score; the one place that turns settings into modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from pamfn.model.afm import AdaptiveFusion
from pamfn.model.blocks import dropped
from pamfn.model.branches import Branch
from pamfn.model.cmfd import CrossModalDecoder
from pamfn.model.heads import HiddenScoreHead, ScoreHead, classified
from pamfn.model.mixed import MixedBlock
from pamfn.model.msfd import ModalityFeatureDecoder
from pamfn.model.output import Output
from pamfn.recipe import Recipe
from pamfn.replicas.axis import FusionAxis
from pamfn.replicas.cut import initialise
from pamfn.replicas.noise import Noise
from pamfn.replicas.precision import exactly
from pamfn.replicas.segments import Segments, pool_by_two, pool_globally


class FusionStage(nn.Module):
    """One stage of the mixed branch: convolve the state, then decode modalities (MSFD) and their fusions (AFM, CMFD).

    Args:
        rows: Replicas R.
        index: Stage i, from 0.
        axis: The FusionNet axis.
        modalities: M.
        recipe: The settings.
    """

    def __init__(self, rows: int, index: int, axis: FusionAxis, modalities: int, recipe: Recipe) -> None:
        super().__init__()
        width, site = recipe.width, f"stage{index}"
        self.pools, self.last = recipe.pools, index == recipe.stages - 1
        self.mixed = MixedBlock(rows, width, mixed_start=recipe.mixed_start)
        self.msfd = ModalityFeatureDecoder(
            rows,
            width,
            heads=recipe.msfd_heads,
            dropout=recipe.attention_dropout,
            query_layers=recipe.query_layers,
            site=f"{site}.msfd",
        )
        self.afm = AdaptiveFusion(
            rows,
            axis,
            width,
            modalities,
            design=recipe.fusion_design,
            policy_layers=recipe.policy_layers,
            activation=recipe.fusion_activation,
            site=f"{site}.afm",
        )
        self.cmfd = CrossModalDecoder(
            rows,
            width,
            heads=recipe.cmfd_heads,
            negative=recipe.cmfd_sign == "negative",
            dropout=recipe.attention_dropout,
            query_layers=recipe.query_layers,
            site=f"{site}.cmfd",
        )

    def behind(self, segments: Segments) -> Segments:
        """Returns the lengths at this stage, given those at the stage before."""
        if not self.pools:
            return segments
        return segments.single() if self.last else segments.halved()

    def forward(
        self,
        state_RBTS: Tensor | None,
        before: list[Tensor],
        after: list[Tensor],
        segments: Segments,
        tau_R: Tensor,
        noise: Noise | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Runs stage i.

        Args:
            state_RBTS: Mixed state at this stage's time steps, (R, B, T_i, 3 D); None for the first stage's zeros.
            before: Each modality's features of stage i-1, (R, B, T_{i-1}, D).
            after: Each modality's features of stage i, (R, B, T_i, D).
            segments: Lengths at stage i-1.
            tau_R: Temperature.
            noise: The step's noise, or None.

        Returns:
            The new state (R, B, T_i, 3 D), the decision (R, B, T_i) and MSFD's weights (R, H, M, B, T_i).
        """
        here = self.behind(segments)
        cross_FBTD = self.afm.fused(before, segments, pool=self.pools and not self.last)
        logits_RBTK = self.afm.policy(before)
        if self.pools and self.last:
            cross_FBTD = pool_globally(cross_FBTD, segments, self.afm.fusion_axis)
        if self.pools:
            logits_RBTK = pool_globally(logits_RBTK, segments) if self.last else pool_by_two(logits_RBTK)
        decision, mask = self.afm.decision(logits_RBTK, tau_R, noise)
        videos = after[0].shape[1]
        mixed = self.mixed.of_zeros(videos, here) if state_RBTS is None else self.mixed(state_RBTS, here)
        modal, attention = self.msfd(mixed, torch.stack(after, dim=1), noise)
        cross_RKBTD = self.afm.fusion_axis.by_replica(cross_FBTD)
        cross = self.cmfd(mixed, modal, cross_RKBTD, mask, noise)
        return torch.cat([mixed, modal, cross], dim=-1), decision, attention


class PAMFN(nn.Module):
    """Progressive Adaptive Multimodal Fusion Network over R replicas.

    Args:
        recipe: The settings.
        widths: Width of each modality's features, by name; two or three modalities.
        seeds: Seed of each replica's initial weights.
        fusion_nets: K of each replica, where they differ; ``recipe.fusion_nets`` for all if None.
        tau_init: Initial temperature of each replica, where they differ.
        without: Branches that are elsewhere: their feature maps are given with every batch.

    Raises:
        ValueError: If there are not two or three modalities, or ``fine_tuned`` names one that is not there.
    """

    def __init__(
        self,
        recipe: Recipe,
        widths: Mapping[str, int],
        seeds: Sequence[int],
        *,
        fusion_nets: Sequence[int] | None = None,
        tau_init: Sequence[float] | None = None,
        without: Sequence[str] = (),
    ) -> None:
        super().__init__()
        if len(widths) not in (2, 3):
            raise ValueError(f"modalities: {', '.join(widths)}: PAMFN fuses two or three, not {len(widths)}")
        if unknown := [name for name in recipe.fine_tuned if name not in widths]:
            raise ValueError(f"fine_tuned: {', '.join(unknown)}: not among the modalities {', '.join(widths)}")
        rows = len(seeds)
        self.recipe, self.replicas = recipe, rows
        self.modalities = tuple(widths)
        self.fusion_axis = FusionAxis(fusion_nets or [recipe.fusion_nets] * rows)
        self.branches = nn.ModuleDict(
            {name: build_branch(recipe, name, width, rows) for name, width in widths.items() if name not in without}
        )
        self.stages = nn.ModuleList(
            FusionStage(rows, i, self.fusion_axis, len(widths), recipe) for i in range(recipe.stages)
        )
        self.head = _build_head(recipe, rows)
        tau = torch.tensor(tau_init or [recipe.tau_init] * rows, dtype=torch.float32)
        self.tau = nn.Parameter(tau.log() if recipe.tau_form == "exp" else tau)
        initialise(self, seeds)

    @property
    def tau_R(self) -> Tensor:
        """The temperature of each replica: exp(s) of the trained s, or the trained scalar itself."""
        return self.tau.exp() if self.recipe.tau_form == "exp" else self.tau

    def fix(self, modalities: Sequence[str]) -> None:
        """Fixes these branches: no gradient and, unless they drift as in the release, no dropout, no new statistics."""
        for name, branch in self.branches.items():
            branch.requires_grad_(name not in modalities)
        self.train(self.training)

    def train(self, mode: bool = True) -> PAMFN:
        """Sets training or evaluation; truly fixed branches stay in evaluation."""
        super().train(mode)
        for branch in self.branches.values():
            fixed = not next(branch.parameters()).requires_grad
            branch.train(mode and not (fixed and self.recipe.fixed_branches == "fixed"))
        return self

    def branch_features(
        self,
        x: Mapping[str, Tensor],
        segments: Segments,
        noise: Noise | None,
        given: Mapping[str, list[Tensor]] | None = None,
    ) -> list[list[Tensor]]:
        """Returns every branch's N + 1 feature maps, outer list by modality; no graph is kept for fixed branches."""
        maps = []
        for name in self.modalities:
            if given is not None and name in given:
                maps.append(given[name])
                continue
            branch = cast("Branch", self.branches[name])
            with torch.set_grad_enabled(torch.is_grad_enabled() and next(branch.parameters()).requires_grad):
                maps.append(branch.features(x[name], segments, noise if branch.training else None))
        return maps

    def forward(
        self,
        x: Mapping[str, Tensor],
        segments: Segments,
        noise: Noise | None,
        given: Mapping[str, list[Tensor]] | None = None,
    ) -> Output:
        """Scores videos.

        Args:
            x: Features of each modality, (R, B, T, width of the modality); zeros beyond a video's end.
            segments: Lengths of the videos.
            noise: The step's noise; None for a score that depends on the video alone.
            given: Feature maps of branches that are elsewhere, by modality.
        """
        return self.fuse(self.branch_features(x, segments, noise, given), segments, noise)

    def fuse(self, maps: list[list[Tensor]], segments: Segments, noise: Noise | None) -> Output:
        """Runs the mixed branch over the branches' feature maps."""
        pools = self.recipe.pools
        segments = segments.at_least(2 ** (self.recipe.stages - 1)) if pools else segments
        maps = [[self._drop(x, m, i, noise) for i, x in enumerate(by_stage)] for m, by_stage in enumerate(maps)]
        state: Tensor | None = None
        decisions, attention = [], []
        tau_R = self.tau_R
        for i, stage in enumerate(self.stages):
            before, after = [by_stage[i] for by_stage in maps], [by_stage[i + 1] for by_stage in maps]
            state, decision, weights = stage(state, before, after, segments, tau_R, noise)
            decisions.append(decision)
            attention.append(weights)
            segments = cast("FusionStage", stage).behind(segments)
            if pools and not stage.last:
                state = pool_globally(state, segments) if i == len(self.stages) - 2 else pool_by_two(state)
        with exactly(self.tau.device):  # a score of 8 bits would be too coarse to learn from
            assert state is not None  # there is a stage
            state = state.to(self.tau.dtype)
            if not pools:
                said = classified(cast("ScoreHead | HiddenScoreHead", self.head), state, segments, noise)
                return replace(said, decisions=decisions, attention=attention)
            score_RB = self.head(state, segments, noise)
        return Output(score_RB, decisions, attention)

    def _drop(self, x_RBTD: Tensor, modality: int, stage: int, noise: Noise | None) -> Tensor:
        site = f"feature.{self.modalities[modality]}.{stage}"
        return dropped(x_RBTD, self.recipe.feature_dropout, noise if self.training else None, site)


def build_branch(recipe: Recipe, modality: str, inputs: int, replicas: int) -> Branch:
    """Builds a branch without drawing its weights; see `pamfn.replicas.cut.initialise`."""
    return Branch(
        replicas,
        modality,
        inputs,
        width=recipe.width,
        stages=recipe.stages,
        embedding_dropout=recipe.embedding_dropout,
        head_dropout=recipe.branch_head_dropout,
        standardise=recipe.standardise,
        pools=recipe.pools,
    )


def _build_head(recipe: Recipe, rows: int) -> nn.Module:
    inputs = 3 * recipe.width
    if recipe.head_layers == 1:
        return ScoreHead(rows, inputs, dropout=recipe.head_dropout, site="head")
    hidden = recipe.width // recipe.head_reduction
    return HiddenScoreHead(rows, inputs, hidden, dropout=recipe.head_dropout, site="head")
