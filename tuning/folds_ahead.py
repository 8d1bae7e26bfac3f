"""The order in which a trial's folds train: all side by side, or the first ones ahead until the first rung."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pamfn.phases.replica import Replica

Part = Literal["all", "first", "rest"]


@dataclass(frozen=True)
class Leg:
    """A stretch of a trial's training: who trains, and up to which share of the full budget."""

    part: Part
    progress: float


def legs(milestones: Sequence[float], first_rung: float, first_folds: int | None) -> list[Leg]:
    """Returns the legs of a trial in order; each ends at a milestone.

    With ``first_folds`` the replicas of these folds train to the first rung; then the others catch up, so that a trial
    that is ended in between has not paid for them; from there on all train side by side.

    Args:
        milestones: Ascending shares of the full budget; the first rung is one of them.
        first_rung: The first rung.
        first_folds: How many folds go ahead; None sends none.
    """
    early = [progress for progress in milestones if progress <= first_rung] if first_folds else []
    late = [progress for progress in milestones if progress not in early]
    ahead = [Leg("first", progress) for progress in early]
    return [*ahead, *(Leg("rest", progress) for progress in early), *(Leg("all", progress) for progress in late)]


def members(part: Part, replicas: Sequence[Replica], first_folds: int | None) -> list[int]:
    """Returns the indices of the replicas of a part; a fold has those of all classes and seeds."""
    ahead = {i for i, replica in enumerate(replicas) if replica.fold < (first_folds or 0)}
    return [i for i in range(len(replicas)) if part == "all" or (i in ahead) == (part == "first")]
