"""Late fusion: what the modality branches end with, fused once, and a regressor (Tables IV and V)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pamfn.model.blocks import dropped
from pamfn.model.branch_set import BranchSet, check_streams
from pamfn.model.output import Output
from pamfn.model.weighted import WeightedFusion
from pamfn.recipe import Recipe
from pamfn.replicas.cut import initialise
from pamfn.replicas.layers import Linear
from pamfn.replicas.noise import Noise
from pamfn.replicas.precision import exactly
from pamfn.replicas.segments import Segments

FUSIONS = ("avg", "cat", "weighted", "attention")


class AverageFusion(nn.Module):
    """AVG: the mean of the modalities' features."""

    def forward(self, modal_RMBTD: Tensor) -> tuple[Tensor, None]:
        """Returns features (R, B, T, D), and no weights."""
        return modal_RMBTD.mean(1), None


class ConcatenatingFusion(nn.Module):
    """CAT: the modalities' features side by side, and one fully-connected layer that brings them back to width D.

    Args:
        rows: Replicas R.
        width: Features D.
        modalities: M.
    """

    def __init__(self, rows: int, width: int, modalities: int) -> None:
        super().__init__()
        self.reduce = Linear(rows, modalities * width, width)

    def forward(self, modal_RMBTD: Tensor) -> tuple[Tensor, None]:
        """Returns features (R, B, T, D), and no weights."""
        return self.reduce(side_by_side(modal_RMBTD)), None


class AttentionFusion(nn.Module):
    """Attention: one fully-connected layer reads the modalities side by side and gives, by a softmax, their weights.

    Args:
        rows: Replicas R.
        width: Features D.
        modalities: M.
    """

    def __init__(self, rows: int, width: int, modalities: int) -> None:
        super().__init__()
        self.weigh = Linear(rows, modalities * width, modalities)

    def forward(self, modal_RMBTD: Tensor) -> tuple[Tensor, Tensor]:
        """Returns features (R, B, T, D) and weights (R, 1, M, B, T), which sum to 1 over M."""
        logits_RBTM = self.weigh(side_by_side(modal_RMBTD))
        weights_RMBT = torch.softmax(logits_RBTM, dim=-1).movedim(-1, 1)
        return (weights_RMBT[..., None] * modal_RMBTD).sum(1), weights_RMBT[:, None]


class Regressor(nn.Module):
    """Two fully-connected layers and a sigmoid (Sec. IV-F1).

    The paper leaves open what is between the layers: here the hidden one has width D and ReLU, and dropout comes before
    the last, as in a branch.

    Args:
        rows: Replicas R.
        width: Features D.
        dropout: Dropout before the last layer.
        site: Name of its noise.
    """

    def __init__(self, rows: int, width: int, *, dropout: float, site: str) -> None:
        super().__init__()
        self.dropout, self.site = dropout, site
        self.hidden = Linear(rows, width, width)
        self.score = Linear(rows, width, 1)

    def forward(self, x_RB1D: Tensor, noise: Noise | None) -> Tensor:
        """Maps fused features (R, B, 1, D) to scores (R, B)."""
        hidden = functional.relu(self.hidden(x_RB1D))
        hidden = dropped(hidden, self.dropout, noise if self.training else None, self.site)
        return torch.sigmoid(self.score(hidden))[..., 0, 0]


class LateFusion(nn.Module):
    """Modality branches, their last feature maps fused once, and a regressor, over R replicas.

    "The outputs of the last convolution block" are taken behind their global pool. The mean, the weighted sum and the
    linear map are the same either way; for attention it means one set of weights a video. Features are dropped on their
    way into the fusion as PAMFN's are. The paper describes the regressor for training in one stage; on pretrained
    branches it is the same here. Table IV's Weighted Fusion of all three modalities has the figures of Table V's in one
    stage, and is the same model.

    Args:
        recipe: The settings.
        widths: Width of each modality's features, by name; two or three modalities.
        seeds: Seed of each replica's initial weights.
        fusion: ``avg``, ``cat``, ``weighted`` or ``attention``.
        without: Branches that are elsewhere: their feature maps are given with every batch.

    Raises:
        ValueError: If there is no such fusion, if there are not two or three modalities, or if ``fine_tuned`` names one
            that is not there.
    """

    def __init__(
        self,
        recipe: Recipe,
        widths: Mapping[str, int],
        seeds: Sequence[int],
        *,
        fusion: str,
        without: Sequence[str] = (),
    ) -> None:
        super().__init__()
        check_streams(recipe, widths, "late fusion")
        rows = len(seeds)
        self.recipe, self.replicas = recipe, rows
        self.modalities = tuple(widths)
        self.branches = BranchSet(recipe, widths, rows, without=without)
        self.fusion = _build_fusion(fusion, rows, recipe.width, len(widths))
        self.head = Regressor(rows, recipe.width, dropout=recipe.head_dropout, site="head")
        initialise(self, seeds)

    def fix(self, modalities: Sequence[str]) -> None:
        """Fixes these branches; see `BranchSet.fix`."""
        self.branches.fix(modalities)

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

        Returns:
            The scores and, where the fusion weighs the modalities, its weights (R, 1, M, B, 1).
        """
        maps = self.branches.feature_maps(x, segments, noise, given)
        last = len(maps[0]) - 1
        pooled = [self.branches.drop_from(of[last], m, last, noise) for m, of in enumerate(maps)]
        exact = self.head.score.weight
        with exactly(exact.device):  # a score of 8 bits would be too coarse to learn from
            fused_RB1D, weights = self.fusion(torch.stack(pooled, dim=1).to(exact.dtype))
            return Output(self.head(fused_RB1D, noise), attention=[] if weights is None else [weights])


def side_by_side(modal_RMBTD: Tensor) -> Tensor:
    """Returns the modalities' features of each step as one, (R, M, B, T, D) to (R, B, T, M * D)."""
    return modal_RMBTD.movedim(1, -2).flatten(-2)


def _build_fusion(fusion: str, rows: int, width: int, modalities: int) -> nn.Module:
    if fusion not in FUSIONS:
        raise ValueError(f"fusion: {fusion!r} is not one of {', '.join(FUSIONS)}")
    if fusion == "avg":
        return AverageFusion()
    if fusion == "cat":
        return ConcatenatingFusion(rows, width, modalities)
    if fusion == "weighted":
        return WeightedFusion(rows, modalities)
    return AttentionFusion(rows, width, modalities)
