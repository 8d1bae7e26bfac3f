"""What a network says of a batch of videos."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from pamfn.replicas.noise import Noise
from pamfn.replicas.segments import Segments


@dataclass(frozen=True)
class Output:
    """Scores of a batch, and how they came about.

    Attributes:
        score_RB: Scores in (0, 1), shape (R, B). Where segments are classified, the mean of their chances to be
            highlights: the share of highlights that the network expects.
        decisions: PolicyNet's decision of each stage, 1 to K, shape (R, B, T of the stage); empty for a branch.
        attention: MSFD's weights of each stage, shape (R, heads, M, B, T of the stage); sum to 1 over M (Fig. 7).
        penalty_R: What the network adds to each replica's loss in training, shape (R,); None for nothing.
        logits_RBT: For highlight detection, the logit of every segment, shape (R, B, T); None where videos are scored.
    """

    score_RB: Tensor
    decisions: list[Tensor] = field(default_factory=list)
    attention: list[Tensor] = field(default_factory=list)
    penalty_R: Tensor | None = None
    logits_RBT: Tensor | None = None


class ScoringNetwork(Protocol):
    """Any stacked network that scores videos."""

    def __call__(self, x: dict[str, Tensor], segments: Segments, noise: Noise | None) -> Output:
        """Scores a batch; ``x`` maps each modality to its features (R, B, T, inputs)."""
        ...
