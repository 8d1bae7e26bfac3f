"""The whole network (Fig. 1): branches, N fusion stages, the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from pamfn.model.branch_set import BranchSet, check_streams
from pamfn.model.branch_set import build_branch as build_branch  # callers find it here
from pamfn.model.heads import HiddenScoreHead, ScoreHead, classified
from pamfn.model.output import Output
from pamfn.model.stage import FusionStage, stages_that_fuse, state_width
from pamfn.recipe import Recipe
from pamfn.replicas.axis import FusionAxis
from pamfn.replicas.cut import initialise
from pamfn.replicas.noise import Noise
from pamfn.replicas.precision import exactly
from pamfn.replicas.segments import Segments, pool_by_two, pool_globally


class PAMFN(nn.Module):
    """Progressive Adaptive Multimodal Fusion Network over R replicas, or an ablation of it (Sec. IV-F).

    Args:
        recipe: The settings.
        widths: Width of each modality's features, by name; two or three modalities.
        seeds: Seed of each replica's initial weights.
        fusion_nets: K of each replica, where they differ; ``recipe.fusion_nets`` for all if None.
        tau_init: Initial temperature of each replica, where they differ.
        without: Branches that are elsewhere: their feature maps are given with every batch.

    Attributes:
        fusion_axis: The FusionNet axis; None without CMFD, and so without FusionNets.
        tau: What the temperature is made of; None where nothing is decided.

    Raises:
        ValueError: If there are not two or three modalities, or ``fine_tuned`` names one that is not there; or if the
            settings leave nothing to fuse them.
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
        check_streams(recipe, widths, "PAMFN")
        if recipe.msfd == recipe.cmfd == "none":
            raise ValueError("msfd, cmfd: both are 'none', and nothing would be fused; keep one of them")
        rows = len(seeds)
        self.recipe, self.replicas = recipe, rows
        self.modalities = tuple(widths)
        fused = stages_that_fuse(recipe)
        self.fusion_axis = FusionAxis(fusion_nets or [recipe.fusion_nets] * rows) if recipe.has_fusion_nets else None
        self.branches = BranchSet(  # FusionNets read the stages before, MSFD reads the stage itself
            recipe, widths, rows, without=without, depth=fused - 1 if recipe.msfd == "none" else fused
        )
        self.stages = nn.ModuleList(
            FusionStage(rows, i, self.fusion_axis, len(widths), recipe) for i in range(recipe.stages)
        )
        self.head = _build_head(recipe, rows)
        self.tau = _temperature(recipe, tau_init or [recipe.tau_init] * rows) if recipe.has_policy else None
        initialise(self, seeds)

    @property
    def tau_R(self) -> Tensor | None:
        """The temperature of each replica: exp(s) of the trained s, or the trained scalar itself; None if none."""
        return self.tau.exp() if self.tau is not None and self.recipe.tau_form == "exp" else self.tau

    def fix(self, modalities: Sequence[str]) -> None:
        """Fixes these branches; see `BranchSet.fix`."""
        self.branches.fix(modalities)

    def branch_features(
        self,
        x: Mapping[str, Tensor],
        segments: Segments,
        noise: Noise | None,
        given: Mapping[str, list[Tensor]] | None = None,
    ) -> list[list[Tensor]]:
        """Returns every branch's N + 1 feature maps; see `BranchSet.feature_maps`."""
        return self.branches.feature_maps(x, segments, noise, given)

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
        pools, drop = self.recipe.pools, self.branches.drop_from
        segments = segments.at_least(2 ** (self.recipe.stages - 1)) if pools else segments
        maps = [[drop(x, m, i, noise) for i, x in enumerate(by_stage)] for m, by_stage in enumerate(maps)]
        state: Tensor | None = None
        decisions, attention = [], []
        tau_R = self.tau_R
        for i, stage in enumerate(self.stages):
            before, after = [by_stage[i] for by_stage in maps], [by_stage[i + 1] for by_stage in maps]
            state, decision, weights = stage(state, before, after, segments, tau_R, noise)
            decisions += [] if decision is None else [decision]
            attention += [] if weights is None else [weights]
            segments = cast("FusionStage", stage).behind(segments)
            if pools and not stage.last:
                state = pool_globally(state, segments) if i == len(self.stages) - 2 else pool_by_two(state)
        assert state is not None  # there is a stage
        exact = self.head.score.weight
        with exactly(exact.device):  # a score of 8 bits would be too coarse to learn from
            state = state.to(exact.dtype)
            if not pools:
                return replace(classified(self.head, state, segments, noise), decisions=decisions, attention=attention)
            return Output(self.head(state, segments, noise), decisions, attention)


def _temperature(recipe: Recipe, tau_init: Sequence[float]) -> nn.Parameter:
    tau = torch.tensor(tau_init, dtype=torch.float32)
    return nn.Parameter(tau.log() if recipe.tau_form == "exp" else tau)


def _build_head(recipe: Recipe, rows: int) -> ScoreHead | HiddenScoreHead:
    inputs = state_width(recipe, recipe.stages - 1)
    if recipe.head_layers == 1:
        return ScoreHead(rows, inputs, dropout=recipe.head_dropout, site="head")
    hidden = recipe.width // recipe.head_reduction
    return HiddenScoreHead(rows, inputs, hidden, dropout=recipe.head_dropout, site="head")
