"""A study imagined: successive halving on scores that mean nothing, through the rungs that a real study has."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tuning.search.rungs import Rungs

AGREEMENT = 0.8  # correlation of a trial's scores at two rungs, about that of a curve's first third with its end


@dataclass(frozen=True)
class Course:
    """What one imagined study came to.

    Attributes:
        reached: For each trial, the rungs that it completed.
        seconds: Time from the first trial's start to the last one's end, in the unit of the legs.
        waiting: Most trials that waited at their rungs at once.
    """

    reached: tuple[int, ...]
    seconds: float
    waiting: int


def imagine(
    legs: Sequence[Sequence[float]], *, reduction: float | None, mode: str, concurrent: int, seed: int
) -> Course:
    """Returns the course of a study whose trials score at random, each as likely to be the best as any other.

    A trial's scores at two rungs correlate by ``AGREEMENT``. In a real study a searcher that learns makes later trials
    better, and more of them go on than here.

    Args:
        legs: For each trial, in the order of suggestion, the time from rung to rung; the last leg ends its budget.
        reduction: The paper's eta; None stops no trial.
        mode: ``stop`` or ``promote``.
        concurrent: Trials that run at once.
        seed: Seed of the scores.
    """
    draw = np.random.default_rng(seed).standard_normal
    rungs = max(map(len, legs), default=0)
    own, noise = AGREEMENT**0.5 * draw((len(legs), 1)), (1 - AGREEMENT) ** 0.5 * draw((len(legs), rungs))
    return _Imagined(legs, Rungs(reduction, mode), (own + noise).tolist()).run(concurrent)


class _Imagined:
    """A study in which time is a number: trials run leg by leg, and the earliest end of a leg comes next."""

    def __init__(self, legs: Sequence[Sequence[float]], rungs: Rungs, scores: list[list[float]]) -> None:
        self._legs, self._rungs, self._scores = legs, rungs, scores
        self._new = deque(range(len(legs)))
        self._running: list[tuple[float, int, int]] = []  # end of the leg, trial, rung at its end
        self._reached = [0] * len(legs)
        self._waiting: set[int] = set()

    def run(self, concurrent: int) -> Course:
        now, most = 0.0, 0
        while True:
            while len(self._running) < concurrent and self._begin(now):
                pass
            if not self._running:
                return Course(tuple(self._reached), now, most)
            now, trial, rung = heapq.heappop(self._running)
            self._report(now, trial, rung)
            most = max(most, len(self._waiting))

    def _begin(self, now: float) -> bool:
        """Puts the next trial to work; returns whether there was one."""
        if earned := self._rungs.promotable(not self._new):
            self._rungs.promote(*earned)
            trial = int(earned[0])
            self._waiting.discard(trial)
        elif self._new:
            trial = self._new.popleft()
        else:
            return False
        self._go_on(now, trial)
        return True

    def _report(self, now: float, trial: int, rung: int) -> None:
        self._reached[trial] = rung + 1
        self._rungs.record(str(trial), rung, self._scores[trial][rung])
        if self._reached[trial] == len(self._legs[trial]):
            return
        if self._rungs.decide(str(trial), rung).goes_on:
            self._go_on(now, trial)
        elif self._rungs.mode == "promote":
            self._waiting.add(trial)

    def _go_on(self, now: float, trial: int) -> None:
        rung = self._reached[trial]
        heapq.heappush(self._running, (now + self._legs[trial][rung], trial, rung))
