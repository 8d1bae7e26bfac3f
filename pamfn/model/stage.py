"""One stage of the mixed branch, and what the ablations leave of it (Sec. III-B.2 and IV-F)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pamfn.model.afm import AdaptiveFusion
from pamfn.model.cmfd import CrossModalDecoder
from pamfn.model.lone import LoneFusion
from pamfn.model.mixed import MixedBlock
from pamfn.model.msfd import ModalityFeatureDecoder
from pamfn.model.weighted import WeightedFusion
from pamfn.recipe import Recipe
from pamfn.replicas.axis import FusionAxis
from pamfn.replicas.noise import Noise
from pamfn.replicas.segments import Segments


class FusionStage(nn.Module):
    """One stage of the mixed branch: convolve the state, then decode modalities (MSFD) and their fusions (AFM, CMFD).

    Args:
        rows: Replicas R.
        index: Stage i, from 0.
        axis: The FusionNet axis; None for a network without FusionNets.
        modalities: M.
        recipe: The settings.
    """

    def __init__(self, rows: int, index: int, axis: FusionAxis | None, modalities: int, recipe: Recipe) -> None:
        super().__init__()
        width, fuses = recipe.width, index < stages_that_fuse(recipe)
        self.pools, self.last = recipe.pools, index == recipe.stages - 1
        self.mixed = MixedBlock(rows, state_width(recipe, max(index - 1, 0)), width, mixed_start=recipe.mixed_start)
        self.msfd = _modality_decoder(rows, modalities, recipe, f"stage{index}.msfd") if fuses else None
        self.afm: AdaptiveFusion | None = None
        self.cmfd: CrossModalDecoder | WeightedFusion | LoneFusion | None = None
        if axis is not None and fuses:
            self.afm = AdaptiveFusion(
                rows,
                axis,
                width,
                modalities,
                design=recipe.fusion_design,
                policy=recipe.policy,
                policy_layers=recipe.policy_layers,
                activation=recipe.fusion_activation,
                pools=self.pools,
                last=self.last,
                site=f"stage{index}.afm",
            )
            self.cmfd = _fusion_decoder(rows, axis, recipe, f"stage{index}.cmfd")

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
        tau_R: Tensor | None,
        noise: Noise | None,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Runs stage i.

        Args:
            state_RBTS: Mixed state at this stage's time steps, (R, B, T_i, S); None for the first stage's zeros.
            before: Each modality's features of stage i-1, (R, B, T_{i-1}, D).
            after: Each modality's features of stage i, (R, B, T_i, D).
            segments: Lengths at stage i-1.
            tau_R: Temperature; None where nothing is decided.
            noise: The step's noise, or None.

        Returns:
            The new state, 3 D wide (less without MSFD or CMFD); the decision (R, B, T_i) and MSFD's weights
            (R, H, M, B, T_i), None where there are none.
        """
        here = self.behind(segments)
        videos = after[0].shape[1]
        mixed = self.mixed.of_zeros(videos, here) if state_RBTS is None else self.mixed(state_RBTS, here)
        parts, decision, attention = [mixed], None, None
        if self.msfd is not None:
            modal, attention = self._decode_modalities(mixed, torch.stack(after, dim=1), noise)
            parts.append(modal)
        if self.afm is not None:
            cross_RKBTD, mask_RKBT, decision = self.afm(before, segments, tau_R, noise)
            parts.append(self._decode_fusions(parts, cross_RKBTD, mask_RKBT, noise))
        return torch.cat(parts, dim=-1), decision, attention

    def _decode_modalities(self, mixed_RBTD: Tensor, modal_RMBTD: Tensor, noise: Noise | None) -> tuple[Tensor, Tensor]:
        assert self.msfd is not None
        weighs = isinstance(self.msfd, WeightedFusion)  # whatever the query
        decoded: tuple[Tensor, Tensor] = self.msfd(modal_RMBTD) if weighs else self.msfd(mixed_RBTD, modal_RMBTD, noise)
        return decoded

    def _decode_fusions(
        self, parts: list[Tensor], cross_RKBTD: Tensor, mask_RKBT: Tensor, noise: Noise | None
    ) -> Tensor:
        assert self.cmfd is not None
        if isinstance(self.cmfd, CrossModalDecoder):
            features: Tensor = self.cmfd(torch.cat(parts, dim=-1), cross_RKBTD, mask_RKBT, noise)
        else:
            features, _ = self.cmfd(cross_RKBTD, mask_RKBT)
        return features


def stages_that_fuse(recipe: Recipe) -> int:
    """Returns how many stages read the modalities, the first ones (Table VIII); the others convolve the state alone."""
    return min(recipe.stages, recipe.fusing_stages or recipe.stages)


def state_width(recipe: Recipe, index: int) -> int:
    """Returns the width of the mixed state behind stage i, from 0: the convolved features, MSFD's and CMFD's."""
    decoders = (recipe.msfd != "none") + (recipe.cmfd != "none")
    return recipe.width * (1 + decoders * (index < stages_that_fuse(recipe)))


def _modality_decoder(
    rows: int, modalities: int, recipe: Recipe, site: str
) -> ModalityFeatureDecoder | WeightedFusion | None:
    if recipe.msfd == "none":
        return None
    if recipe.msfd == "weighted":
        return WeightedFusion(rows, modalities)
    return ModalityFeatureDecoder(
        rows,
        recipe.width,
        heads=recipe.msfd_heads,
        dropout=recipe.attention_dropout,
        query_layers=recipe.query_layers,
        site=site,
    )


def _fusion_decoder(
    rows: int, axis: FusionAxis, recipe: Recipe, site: str
) -> CrossModalDecoder | WeightedFusion | LoneFusion:
    if recipe.policy == "unranked":
        return LoneFusion(rows, recipe.width if recipe.cmfd == "attention" else None)
    if recipe.cmfd == "weighted":
        return WeightedFusion(axis.total, axis=axis)
    return CrossModalDecoder(
        rows,
        recipe.width,
        inputs=recipe.width * (1 if recipe.msfd == "none" else 2),
        heads=recipe.cmfd_heads,
        negative=recipe.cmfd_sign == "negative",
        dropout=recipe.attention_dropout,
        query_layers=recipe.query_layers,
        site=site,
    )
