"""A study while it runs: what is known of every trial, without a word on how it is shown."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tuning.score_metric import SPEARMAN, ScoreMetric
from tuning.search.noise import standard_error

STATES = ("running", "waiting", "finished", "stopped", "paused", "failed", "ended")
"""First words of the states of a trial; ``ended`` is one that ran when the study's budget was spent."""

AT_ONCE = 0.5
"""Seconds within which a trial begins and ends only if an earlier launch has trained it."""


@dataclass
class TrialProgress:
    """One trial so far.

    Args:
        trial_id: Tune's id.
        config: The searched values.
        state: ``running``, ``again`` before it is tried again, ``waiting at rung 1``, or the reason why it ended.
        rung: The last completed rung; -1 before the first.
        epoch: Epochs trained.
        progress: Share of the full budget trained, 0 to 1.
        score: The score as last reported.
        best: The best one of any epoch.
        noise: The standard error of the score, from the scatter of its folds; NaN where it is not known.
        number: Its place among those that started, from 0.
        began: When it was told of, on the study's clock.
    """

    trial_id: str
    config: Mapping[str, Any]
    state: str = "running"
    rung: int = -1
    epoch: int = 0
    progress: float = 0.0
    score: float = math.nan
    best: float = math.nan
    noise: float = math.nan
    number: int = 0
    began: float = 0.0

    @property
    def live(self) -> bool:
        """Whether the trial runs or will run again."""
        return self.state in ("running", "again")


@dataclass
class StudyProgress:
    """All trials so far, in the order in which they started.

    Args:
        name: Name of the study.
        searched: Names of the searched settings.
        asked: How many trials were asked for.
        metric: What the scores are.
        clock: Seconds that never go back.
    """

    name: str
    searched: tuple[str, ...]
    asked: int
    metric: ScoreMetric = SPEARMAN
    clock: Callable[[], float] = time.monotonic
    trials: dict[str, TrialProgress] = field(default_factory=dict)
    began: float = field(init=False)
    before: int = field(init=False, default=0)
    _counts: Counter[str] = field(default_factory=Counter, repr=False)
    _leader: TrialProgress | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    @property
    def elapsed(self) -> float:
        """Seconds since this process began with the study."""
        return self.clock() - self.began

    def started(self, trial_id: str, config: Mapping[str, Any]) -> TrialProgress | None:
        """Takes in a started trial; None if it is known to run."""
        known = self.trials.get(trial_id)
        if known is not None and known.state == "running":
            return None
        if known is None:
            chosen = {name: config[name] for name in self.searched if name in config}
            self.trials[trial_id] = TrialProgress(trial_id, chosen, number=len(self.trials), began=self.clock())
            self._counts["running"] += 1
        return self._now(self.trials[trial_id], "running")

    def reported(self, trial_id: str, result: Mapping[str, Any]) -> TrialProgress:
        """Takes in a result of Tune."""
        trial = self.trials[trial_id]
        before = _standing(trial)
        trial.rung = max(trial.rung, int(result.get("rung", -1)))
        trial.epoch, trial.progress = int(result.get("epoch", 0)), float(result.get("progress", 0.0))
        trial.score = _number(result.get("val_spearman"))
        trial.best = _number(result.get("best_val_spearman"))
        if curve := result.get("curve"):
            trial.noise = self._noise(curve[-1].get("scores") or {}, trial.score)
        if trial is self._leader and _standing(trial) < before:
            self._leader = max(self.trials.values(), key=_standing)
        elif self._leader is None or _standing(trial) > _standing(self._leader):
            self._leader = trial
        return trial

    def waits(self, trial_id: str, rung: int) -> TrialProgress | None:
        """Takes in that a trial waits; None if it is known."""
        return self.ended(trial_id, f"waiting at rung {rung}")

    def retried(self, trial_id: str) -> TrialProgress:
        """Takes in a failure after which the trial is tried again."""
        return self._now(self.trials[trial_id], "again")

    def ended(self, trial_id: str, reason: str) -> TrialProgress | None:
        """Takes in the end of a trial; None if it is known."""
        trial = self.trials[trial_id]
        if trial.state == reason:
            return None
        self.before += not reason.startswith("waiting") and self.clock() - trial.began < AT_ONCE
        return self._now(trial, reason)

    def counts(self) -> dict[str, int]:
        """Returns how many trials are running, waiting, finished, stopped, paused, failed and ended with the budget."""
        return {word: self._counts[word] for word in STATES}

    @property
    def left(self) -> float | None:
        """Seconds until all trials have ended if they go on at this launch's pace; None before one has ended.

        Trials that an earlier launch ended took none of this launch's time, and trials that run count half.
        """
        live = self._counts["running"] + self._counts["waiting"]
        ended = len(self.trials) - live - self.before
        if ended <= 0:
            return None
        due = max(0, self.asked - len(self.trials)) + live / 2
        return self.elapsed * due / (ended + live / 2)

    def leader(self) -> TrialProgress | None:
        """Returns the trial with the best score among those that came furthest; None before the first rung."""
        return self._leader if self._leader is not None and _standing(self._leader)[0] >= 0 else None

    def _noise(self, scores: Mapping[str, float], score: float) -> float:
        """Returns the standard error of a score on its own scale, where the scatter of its folds tells it."""
        error = standard_error(scores) if self.metric.fisher and len(scores) > 1 else None
        return math.nan if error is None else error * (1 - score**2)  # by the slope of tanh

    def _now(self, trial: TrialProgress, state: str) -> TrialProgress:
        """Puts a trial into a state, and keeps count: to count anew takes longer the more trials there are."""
        self._counts[_word(trial.state)] -= 1
        trial.state = state
        self._counts[_word(state)] += 1
        return trial


def _word(state: str) -> str:
    """Returns the word that a state is counted under."""
    word = state.replace(":", " ").split(" ")[0]
    return "running" if word == "again" else word


def _standing(trial: TrialProgress) -> tuple[int, float, int]:
    """Returns what orders trials: how far they came, their score there, and of equals the one that started first."""
    scored = trial.rung >= 0 and math.isfinite(trial.score)
    return (trial.rung, trial.score, -trial.number) if scored else (-1, 0.0, -trial.number)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
