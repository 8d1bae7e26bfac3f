"""Which segments of a padded batch are there, and the pooling over time that respects it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from pamfn.replicas.axis import FusionAxis


class Segments:
    """Lengths of the videos of a batch, followed through the pools of a network.

    Args:
        steps: Padded length T.
        lengths_RB: Segments of each video, 0 for a place without a video; None if all are full.
        ragged: Whether some video present is shorter than T. If not, the absent places are the only ones to leave
            out, and convolutions need no mask, since they never look across videos.
        real_RB: Segments that came from the video, where zero-padding counts as segments too; ``lengths_RB`` if None.
    """

    def __init__(
        self, steps: int, lengths_RB: Tensor | None = None, *, ragged: bool = True, real_RB: Tensor | None = None
    ) -> None:
        self.steps = steps
        self.lengths_RB = lengths_RB
        self.ragged = ragged and lengths_RB is not None
        self.real_RB = lengths_RB if real_RB is None else real_RB
        self._mask: Tensor | None = None
        self._counted: dict[tuple[int | None, torch.dtype], tuple[Tensor, Tensor]] = {}

    def mask_RBT(self, dtype: torch.dtype = torch.float32) -> Tensor | None:
        """Returns 1 where a segment counts and 0 elsewhere; None if all count."""
        if self.lengths_RB is None:
            return None
        if self._mask is None or self._mask.dtype != dtype:
            self._mask = _mask(self.lengths_RB, self.steps, dtype)
        return self._mask

    def real_mask_RBT(self, dtype: torch.dtype) -> Tensor | None:
        """Returns 1 where a segment came from the video; None if all did."""
        return None if self.real_RB is None else _mask(self.real_RB, self.steps, dtype)

    def counted(self, axis: FusionAxis | None, dtype: torch.dtype) -> tuple[Tensor, Tensor] | None:
        """Returns which segments count and how many of each row, for the norms of a network; None if all count.

        Args:
            axis: The FusionNet axis, if the rows are FusionNets.
            dtype: Of both.

        Returns:
            1 where a segment counts, (rows, B, T), or (rows, B, 1) where videos count as a whole; and (rows, 1).
        """
        if self.lengths_RB is None:
            return None
        key = (None if axis is None else id(axis), dtype)
        if key not in self._counted:
            lengths = self.lengths_RB if axis is None else axis.spread(self.lengths_RB)
            mask = _mask(lengths, self.steps, dtype) if self.ragged else (lengths > 0).to(dtype)[..., None]
            self._counted[key] = mask, lengths.clamp(max=self.steps).sum(1, keepdim=True).to(dtype)
        return self._counted[key]

    def zeroed(self, x_RBTD: Tensor, axis: FusionAxis | None = None) -> Tensor:
        """Returns the features with zeros beyond each video's end, as a convolution's border has."""
        counted = self.counted(axis, x_RBTD.dtype) if self.ragged else None
        return x_RBTD if counted is None else x_RBTD * counted[0][..., None]

    def at_least(self, shortest: int) -> Segments:
        """Returns these lengths with shorter videos counted as zero-padded to ``shortest``; absent ones stay absent."""
        steps = max(self.steps, shortest)
        if self.lengths_RB is None:
            return Segments(steps)
        if not self.ragged and steps == self.steps:
            return self
        longer = torch.where(self.lengths_RB > 0, self.lengths_RB.clamp(min=shortest), self.lengths_RB)
        return Segments(steps, longer)

    def halved(self) -> Segments:
        """Returns the lengths after one pool by 2, which floors."""
        lengths = None if self.lengths_RB is None else self.lengths_RB // 2
        return Segments(self.steps // 2, lengths, ragged=self.ragged)

    def single(self) -> Segments:
        """Returns the lengths after a global pool: one step a video."""
        lengths = None if self.lengths_RB is None else self.lengths_RB.clamp(max=1)
        return Segments(1, lengths, ragged=False)


def _mask(lengths_RB: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    return (torch.arange(steps, device=lengths_RB.device) < lengths_RB[..., None]).to(dtype)


def pool_by_two(x_BTD: Tensor) -> Tensor:
    """Returns the mean of neighbours in time, (..., T, D) to (..., T // 2, D); an odd last step is dropped."""
    half = x_BTD.shape[-2] // 2
    return torch.unflatten(x_BTD[..., : 2 * half, :], -2, (half, 2)).mean(-2)


def pool_globally(x_RBTD: Tensor, segments: Segments, axis: FusionAxis | None = None) -> Tensor:
    """Returns the mean over each video's segments, (rows, B, T, D) to (rows, B, 1, D); 0 for an absent video.

    Args:
        x_RBTD: The features.
        segments: Which of them are there.
        axis: The FusionNet axis, if the rows are FusionNets.
    """
    if not segments.ragged or segments.lengths_RB is None:
        return x_RBTD.mean(-2, keepdim=True)
    lengths = segments.lengths_RB if axis is None else axis.spread(segments.lengths_RB)
    counted = lengths.clamp(min=1).to(x_RBTD.dtype)[..., None, None]
    return segments.zeroed(x_RBTD, axis).sum(-2, keepdim=True) / counted


def pad_time(x_RBTD: Tensor, steps: int) -> Tensor:
    """Returns the features zero-padded at the end to at least ``steps`` time steps."""
    missing = steps - x_RBTD.shape[-2]
    return x_RBTD if missing <= 0 else functional.pad(x_RBTD, (0, 0, 0, missing))
