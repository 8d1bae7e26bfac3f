"""What the networks of a program learn, and how they are judged: videos by their scores, or segments as highlights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pamfn.data.bank import ABSENT, Bank
from pamfn.highlights.average_precision import mean_average_precision
from pamfn.metrics import is_constant
from pamfn.model.output import Output
from pamfn.phases.replica import Replica
from pamfn.phases.scoring import correlate
from pamfn.recipe import Recipe
from pamfn.replicas.segments import Segments

Predicted = Sequence[NDArray[np.float64]]


class Objective(Protocol):
    """A loss and a score.

    Attributes:
        metric: Name of the score among `pamfn.metrics.AVERAGES`.
    """

    metric: str

    def losses(self, output: Output, inputs: Mapping[str, Tensor], segments: Segments, bank: Bank) -> Tensor:
        """Returns each replica's loss of a batch, (R,); 0 for one without videos.

        Args:
            output: What the networks say.
            inputs: The batch; see `pamfn.phases.batch.next_batch`.
            segments: Lengths of its clips.
            bank: The videos.
        """
        ...

    def said(self, output: Output) -> Tensor:
        """Returns what is predicted in (0, 1), (R, B) of videos or (R, B, T) of segments."""
        ...

    def judged(self, predicted: Predicted, replicas: Sequence[Replica], bank: Bank) -> tuple[list[float], list[bool]]:
        """Returns each replica's score on its held-out videos, and whether it predicts one value for all.

        Args:
            predicted: Of each replica, what it predicts of its held-out videos or of their segments, in their order.
            replicas: The replicas.
            bank: The videos.
        """
        ...


class Scores:
    """Scores of videos: the mean squared error of Sec. III-F, and Spearman's correlation."""

    metric = "spearman"

    def losses(self, output: Output, inputs: Mapping[str, Tensor], segments: Segments, bank: Bank) -> Tensor:
        """Returns the mean squared error over the videos of a batch, (R,)."""
        there_RB = inputs["videos"] != ABSENT
        error_RB = torch.where(there_RB, output.score_RB - inputs["targets"], 0.0)
        return error_RB.square().sum(1) / there_RB.sum(1).clamp(min=1)

    def said(self, output: Output) -> Tensor:
        """Returns the scores, (R, B)."""
        return output.score_RB

    def judged(self, predicted: Predicted, replicas: Sequence[Replica], bank: Bank) -> tuple[list[float], list[bool]]:
        """Returns Spearman's correlations."""
        return correlate(predicted, replicas)


class Highlights:
    """Highlights among segments (Sec. IV-G): binary cross-entropy, and mean average precision over videos."""

    metric = "map"

    def losses(self, output: Output, inputs: Mapping[str, Tensor], segments: Segments, bank: Bank) -> Tensor:
        """Returns the mean binary cross-entropy over the real segments of a batch, (R,)."""
        logits_RBT = _logits(output)
        label_RBT = (bank.matches(inputs["videos"], inputs["starts"], segments.steps) > 0).to(logits_RBT.dtype)
        mask_RBT = segments.real_mask_RBT(logits_RBT.dtype)
        entropy_RBT = functional.binary_cross_entropy_with_logits(logits_RBT, label_RBT, reduction="none")
        if mask_RBT is None:
            return entropy_RBT.mean((1, 2))
        return torch.where(mask_RBT > 0, entropy_RBT, 0.0).sum((1, 2)) / mask_RBT.sum((1, 2)).clamp(min=1)

    def said(self, output: Output) -> Tensor:
        """Returns each segment's chance to be a highlight, (R, B, T), in double: float32 would tie the surest ones."""
        return torch.sigmoid(_logits(output).double())

    def judged(self, predicted: Predicted, replicas: Sequence[Replica], bank: Bank) -> tuple[list[float], list[bool]]:
        """Returns mean average precisions."""
        found = []
        for mine_S, replica in zip(predicted, replicas, strict=True):
            ends = np.cumsum(bank.lengths_of_videos[replica.valid])[:-1]
            found.append(mean_average_precision(np.split(mine_S, ends), bank.matches_of(replica.valid)))
        return found, [is_constant(mine_S) for mine_S in predicted]


def objective_of(recipe: Recipe) -> Objective:
    """Returns what the networks of a recipe learn."""
    return Highlights() if recipe.task == "highlights" else Scores()


def _logits(output: Output) -> Tensor:
    if output.logits_RBT is None:
        raise ValueError("task: the network scores videos and classifies no segments; build it with task highlights")
    return output.logits_RBT
