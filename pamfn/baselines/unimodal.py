"""One modality's branch as a network of its own: the unimodality rows of Table IV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from pamfn.model.branch_set import BranchSet
from pamfn.model.output import Output
from pamfn.recipe import Recipe
from pamfn.replicas.cut import initialise
from pamfn.replicas.noise import Noise
from pamfn.replicas.segments import Segments


class Unimodal(nn.Module):
    """One modality's branch with its own score over R replicas: what phase 1 trains, as a model to compare with.

    Args:
        recipe: The settings.
        widths: Width of the one stream's features, by name.
        seeds: Seed of each replica's initial weights.
        without: Must be empty: a branch that is elsewhere would leave nothing here.

    Raises:
        ValueError: If there is not exactly one stream, or its branch is to be elsewhere.
    """

    def __init__(
        self, recipe: Recipe, widths: Mapping[str, int], seeds: Sequence[int], *, without: Sequence[str] = ()
    ) -> None:
        super().__init__()
        if len(widths) != 1:
            raise ValueError(f"modalities: {', '.join(widths)}: a branch alone reads one, not {len(widths)}")
        if without:
            raise ValueError(
                f"without: {', '.join(without)}: a branch alone cannot be elsewhere; train it in one stage"
            )
        self.recipe, self.replicas = recipe, len(seeds)
        self.modalities = tuple(widths)
        self.branches = BranchSet(recipe, widths, len(seeds), scores=True)
        initialise(self, seeds)

    def fix(self, modalities: Sequence[str]) -> None:
        """Fixes the branch, if it is among these; see `BranchSet.fix`."""
        self.branches.fix(modalities)

    def forward(
        self,
        x: Mapping[str, Tensor],
        segments: Segments,
        noise: Noise | None,
        given: Mapping[str, list[Tensor]] | None = None,
    ) -> Output:
        """Scores videos by the one stream; ``given`` is for networks that fuse, and not read.

        Args:
            x: Features of the stream by its name, (R, B, T, inputs); zeros beyond a video's end.
            segments: Lengths of the videos.
            noise: The step's noise; None for a score that depends on the video alone.
            given: Nothing, or an empty map.
        """
        (branch,) = self.branches.values()
        output: Output = branch(x, segments, noise)
        return output
