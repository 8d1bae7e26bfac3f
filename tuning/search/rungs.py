"""Asynchronous successive halving without Ray: which score was measured at which rung, and what was decided on it.

Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020). In its stopping form a trial that has
completed a rung goes on if it is among the best 1/eta of everything measured at that rung so far; in its promoting form
it waits there otherwise, and goes on once it is. A score counts for the rung it was measured at and for no other, once,
and a decision once taken stands: a trial that reports a rung again (after a restart) gets the same answer.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from dataclasses import dataclass

from tuning.search.informative import Informative

MODES = ("stop", "promote")

Place = tuple[float, str]
"""A score with its sign turned, and whose it is: sorted, the best come first and of equals the earlier one."""


@dataclass(frozen=True)
class Decision:
    """What was decided on one trial at one rung, and on what grounds.

    Args:
        trial: Trial id.
        rung: Index of the rung.
        score: The trial's score at the rung.
        rank: One more than the number of strictly better scores at the rung; tied trials share a rank.
        of: Scores at the rung when the decision was taken, this one included, and trials that had fallen short of it.
        kept: Ranks that went on: the best ``kept`` of ``of``.
        goes_on: Whether the trial goes on; one that does not has ended, or waits where trials are promoted.
    """

    trial: str
    rung: int
    score: float
    rank: int
    of: int
    kept: int
    goes_on: bool


class Rungs:
    """The scores of a study by rung, and the decisions taken on them; deterministic in the order of calls.

    Args:
        reduction: The paper's eta: the best 1/eta of a rung go on. None lets every trial go on.
        mode: ``stop``, or ``promote``: a trial that does not go on at once may do so later.
        auto: Says which rungs may decide; at the others every trial goes on. None lets all of them decide.

    Raises:
        ValueError: If ``reduction`` is below 2 or no number, or the mode is neither.
    """

    def __init__(self, reduction: float | None, mode: str = "stop", *, auto: Informative | None = None) -> None:
        if reduction is not None and not 2 <= reduction < math.inf:
            raise ValueError(f"reduction: {reduction!r} must be a number of at least 2, or None to stop no trial")
        if mode not in MODES:
            raise ValueError(f"mode: {mode!r} is not one of {', '.join(MODES)}")
        self.reduction, self.mode, self.auto = reduction, mode, auto
        self.scores: dict[int, dict[str, float]] = {}
        self._ranked: dict[int, list[Place]] = {}
        self._waiting: dict[int, list[Place]] = {}
        self._may_decide: dict[int, bool] = {}
        self._decisions: dict[tuple[str, int], Decision] = {}
        self._gone_on: set[tuple[str, int]] = set()
        self._left: set[str] = set()
        self._short: dict[int, set[str]] = {}

    def record(self, trial: str, rung: int, score: float) -> None:
        """Files a score under its rung; a score that is already there stays.

        Raises:
            ValueError: If the rung is negative, or the score is not finite.
        """
        if rung < 0 or not math.isfinite(score):
            raise ValueError(f"trial {trial}: rung {rung} and score {score} must be a rung from 0 and a finite score")
        scores = self.scores.setdefault(rung, {})
        if trial not in scores:
            scores[trial] = float(score)
            insort(self._ranked.setdefault(rung, []), (-scores[trial], trial))

    def fall_short(self, trial: str, rung: int) -> None:
        """Notes that a trial was found hopeless on its way to a rung: it counts there, below all that have a score.

        Without it those that do get there would be sifted twice, and fewer than 1/eta of all trials went on.
        """
        self._short.setdefault(rung, set()).add(trial)

    def decide(self, trial: str, rung: int) -> Decision:
        """Returns the decision on a trial whose score at the rung is recorded; the same one however often asked."""
        if (trial, rung) not in self._decisions:
            decision = self._decisions[trial, rung] = self._judge(trial, rung)
            if decision.goes_on:
                self._gone_on.add((trial, rung))
            elif (trial, rung) not in self._gone_on and trial not in self._left:
                insort(self._waiting.setdefault(rung, []), (-decision.score, trial))
        return self._decisions[trial, rung]

    def promotable(self, spent: bool) -> tuple[str, int] | None:
        """Returns a waiting trial that has earned to go on, and its rung; from the highest rung down, the best first.

        Args:
            spent: Whether no new trial will ever start: then shares are rounded up, so that one at least gets through.
        """
        for rung in sorted(self._waiting, reverse=True) if self.mode == "promote" else ():
            for best in self._waiting[rung][:1]:  # if it is not among the best of its rung, no other is
                if bisect_left(self._ranked[rung], best) < self._share(self._entered(rung), up=spent):
                    return best[1], rung
        return None

    def promote(self, trial: str, rung: int) -> None:
        """Notes that a waiting trial goes on."""
        self._gone_on.add((trial, rung))
        self._waits_no_more(trial, rung)

    def may_decide(self, rung: int) -> bool:
        """Tells whether trials may be judged at a rung; one that says nothing about later ones ends none."""
        if self.auto is None:
            return True
        if rung not in self._may_decide:
            decides = self.auto.decides(rung, self.scores)
            if not self.auto.known(self.scores):
                return decides
            self._may_decide[rung] = decides  # the scores that it follows from stay
        return self._may_decide[rung]

    def findings(self) -> list[str]:
        """Returns what has been found out about the rungs, for people; empty where they are given, or not known yet."""
        return [] if self.auto is None else self.auto.findings(self.scores)

    def leave(self, trial: str) -> None:
        """Notes that a trial has ended, so that it is never promoted."""
        self._left.add(trial)
        for rung in self._waiting:
            self._waits_no_more(trial, rung)

    def _waits_no_more(self, trial: str, rung: int) -> None:
        place, waiting = (-self.scores.get(rung, {}).get(trial, math.nan), trial), self._waiting.get(rung, [])
        at = bisect_left(waiting, place)
        if waiting[at : at + 1] == [place]:
            del waiting[at]

    def _judge(self, trial: str, rung: int) -> Decision:
        peers = self.scores[rung]
        rank = 1 + bisect_left(self._ranked[rung], (-peers[trial], ""))
        entered = self._entered(rung)
        kept = self._share(entered, up=self.mode == "stop")
        if not self.may_decide(rung):
            kept = entered
        return Decision(trial, rung, peers[trial], rank, entered, kept, rank <= kept)

    def _entered(self, rung: int) -> int:
        return len(self.scores[rung]) + len(self._short.get(rung, ()))

    def _share(self, count: int, *, up: bool) -> int:
        if self.reduction is None:
            return count
        return math.ceil(count / self.reduction) if up else math.floor(count / self.reduction)
