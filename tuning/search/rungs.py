"""Asynchronous successive halving without Ray: which score was measured at which rung, and what was decided on it.

Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020), in its stopping form: a trial that has
completed a rung goes on if it is among the best 1/eta of everything measured at that rung so far. A score counts for
the rung it was measured at and for no other, once, and a decision once taken stands: a trial that reports a rung again
(after a restart) gets the same answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Decision:
    """What was decided on one trial at one rung, and on what grounds.

    Args:
        trial: Trial id.
        rung: Index of the rung.
        score: The trial's score at the rung.
        rank: One more than the number of strictly better scores at the rung; tied trials share a rank.
        of: Scores at the rung when the decision was taken, this one included.
        kept: Ranks that went on: the best ``kept`` of ``of``.
        goes_on: Whether the trial goes on.
    """

    trial: str
    rung: int
    score: float
    rank: int
    of: int
    kept: int
    goes_on: bool


class Rungs:
    """The scores of a study by rung, and the decisions taken on them.

    Args:
        reduction: The paper's eta: the best 1/eta of a rung go on. None lets every trial go on.

    Raises:
        ValueError: If ``reduction`` is below 2 or no number.
    """

    def __init__(self, reduction: float | None) -> None:
        if reduction is not None and not 2 <= reduction < math.inf:
            raise ValueError(f"reduction: {reduction!r} must be a number of at least 2, or None to stop no trial")
        self.reduction = reduction
        self.scores: dict[int, dict[str, float]] = {}
        self._decisions: dict[tuple[str, int], Decision] = {}
        self._passed: set[tuple[str, int]] = set()

    def record(self, trial: str, rung: int, score: float) -> None:
        """Files a score under its rung; a score that is already there stays.

        Raises:
            ValueError: If the rung is negative, or the score is not finite.
        """
        if rung < 0 or not math.isfinite(score):
            raise ValueError(f"trial {trial}: rung {rung} and score {score} must be a rung from 0 and a finite score")
        self.scores.setdefault(rung, {}).setdefault(trial, float(score))

    def decide(self, trial: str, rung: int) -> Decision:
        """Returns the decision on a trial whose score at the rung is recorded; the same one however often asked."""
        if (trial, rung) not in self._decisions:
            self._decisions[trial, rung] = self._judge(trial, rung)
        return self._decisions[trial, rung]

    def replay(self, trial: str, scores: Mapping[int, float], *, ended: bool) -> None:
        """Files what a trial of an interrupted study had measured, in any order of trials.

        Args:
            trial: Trial id.
            scores: Its score at every rung it had completed.
            ended: Whether the trial had ended there; if not, it had passed all of these rungs and passes them again.
        """
        for rung, score in scores.items():
            self.record(trial, rung, score)
        self._passed |= {(trial, rung) for rung in scores if not ended or rung < max(scores)}

    def decided(self, trial: str, rung: int) -> bool:
        """Tells whether a decision on the trial at the rung has been taken."""
        return (trial, rung) in self._decisions

    def _judge(self, trial: str, rung: int) -> Decision:
        peers = self.scores[rung]
        rank = 1 + sum(other > peers[trial] for other in peers.values())
        kept = len(peers) if self.reduction is None else math.ceil(len(peers) / self.reduction)
        goes_on = rank <= kept or (trial, rung) in self._passed
        return Decision(trial, rung, peers[trial], rank, len(peers), kept, goes_on)
