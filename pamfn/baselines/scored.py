"""What a model of plain torch says of a batch of videos."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Scored:
    """Scores of a batch of one network.

    Attributes:
        score_B: Scores in (0, 1), shape (B,).
        penalty: What the network adds to the mean squared error in training, a scalar; None for nothing.
    """

    score_B: Tensor
    penalty: Tensor | None = None
