"""The modality branches of a network that fuses them: which are fixed, and what the fusion reads of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from pamfn.model.blocks import dropped
from pamfn.model.branches import Branch
from pamfn.recipe import Recipe
from pamfn.replicas.noise import Noise
from pamfn.replicas.segments import Segments


class BranchSet(nn.ModuleDict):
    """Branches by modality.

    Args:
        recipe: The settings.
        widths: Width of each modality's features, by name.
        rows: Replicas R.
        without: Branches that are elsewhere: their feature maps are given with every batch.
        depth: Stages whose features are read; the blocks beyond are not trained. All if None.
        scores: Whether the branches' own score heads are trained.
    """

    def __init__(
        self,
        recipe: Recipe,
        widths: Mapping[str, int],
        rows: int,
        *,
        without: Sequence[str] = (),
        depth: int | None = None,
        scores: bool = False,
    ) -> None:
        super().__init__(
            {name: build_branch(recipe, name, width, rows) for name, width in widths.items() if name not in without}
        )
        # Underscores, since no modality's name may be an attribute's; those of the methods are in MODULE_WORDS.
        self._modalities = tuple(widths)
        self._depth, self._scores = recipe.stages if depth is None else depth, scores
        self._drift = recipe.fixed_branches == "drifting"
        self._dropout = recipe.feature_dropout

    def fix(self, modalities: Sequence[str]) -> None:
        """Fixes these branches: no gradient and, unless they drift as in the release, no dropout, no new statistics.

        Of the others everything is trained that the network reads.
        """
        for name, module in self.items():
            branch = cast("Branch", module)
            branch.requires_grad_(name not in modalities)
            unread = [*branch.blocks[self._depth :], *([] if self._scores else [branch.head])]
            for part in unread:
                part.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> BranchSet:
        """Sets training or evaluation; truly fixed branches stay in evaluation."""
        super().train(mode)
        for branch in self.values():
            fixed = not next(branch.parameters()).requires_grad
            branch.train(mode and (self._drift or not fixed))
        return self

    def feature_maps(
        self,
        x: Mapping[str, Tensor],
        segments: Segments,
        noise: Noise | None,
        given: Mapping[str, list[Tensor]] | None = None,
    ) -> list[list[Tensor]]:
        """Returns every branch's N + 1 feature maps, outer list by modality; no graph is kept for fixed branches.

        Args:
            x: Features of each modality, (R, B, T, width of the modality); zeros beyond a video's end.
            segments: Lengths of the videos.
            noise: The step's noise, or None.
            given: Feature maps of branches that are elsewhere, by modality.
        """
        maps = []
        for name in self._modalities:
            if given is not None and name in given:
                maps.append(given[name])
                continue
            branch = cast("Branch", self[name])
            with torch.set_grad_enabled(torch.is_grad_enabled() and next(branch.parameters()).requires_grad):
                maps.append(branch.features(x[name], segments, noise if branch.training else None))
        return maps

    def drop_from(self, x_RBTD: Tensor, modality: int, stage: int, noise: Noise | None) -> Tensor:
        """Returns feature dropout of one of the maps, by its places in what `feature_maps` returns."""
        site = f"feature.{self._modalities[modality]}.{stage}"
        return dropped(x_RBTD, self._dropout, noise if self.training else None, site)


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


def check_streams(recipe: Recipe, widths: Mapping[str, int], reader: str) -> None:
    """Refuses what a network that fuses modalities cannot be built of.

    Raises:
        ValueError: If there are not two or three modalities, or ``fine_tuned`` names one that is not there (in one
            stage all are trained, whatever it says).
    """
    if len(widths) not in (2, 3):
        raise ValueError(f"modalities: {', '.join(widths)}: {reader} fuses two or three, not {len(widths)}")
    unknown = [name for name in recipe.fine_tuned if name not in widths]
    if unknown and recipe.phases == "two":
        raise ValueError(f"fine_tuned: {', '.join(unknown)}: not among the modalities {', '.join(widths)}")
