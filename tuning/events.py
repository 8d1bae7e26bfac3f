"""From Ray Tune's callbacks to whoever wants to know: the tracker and the console are told the same few things."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ray.tune import Callback

from tuning.search import StudySearch
from tuning.search.searcher import error_of


class Listener(Protocol):
    """Told what happens to trials; being told the same thing twice must change nothing."""

    def trial_started(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """A trial started, or goes on: after it waited, or after its study or its process was interrupted."""

    def trial_reported(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """A trial reported."""

    def trial_waits(self, trial_id: str, rung: int) -> None:
        """A trial waits at a rung until it is promoted, or ends as ``paused``."""

    def trial_retried(self, trial_id: str, error: str) -> None:
        """A trial failed and will start again from its checkpoint."""

    def trial_ended(self, trial_id: str, reason: str) -> None:
        """A trial ended: ``finished``, ``stopped at rung 2``, ``failed: why``."""


class TuneEvents(Callback):  # type: ignore[misc]  # Ray is untyped
    """Tells listeners what Tune's trials do, and from the search's journal what earlier launches did.

    Args:
        search: The search.
        listeners: Who is told.
    """

    def __init__(self, search: StudySearch, listeners: Sequence[Listener]) -> None:
        self._search, self._listeners = search, tuple(listeners)
        self._beats: list[Callable[[], None]] = []
        self._begun: set[str] = set()
        self._ended: set[str] = set()

    def catch_up(self) -> None:
        """Tells of every trial that waits or has ended and was not told of, in the order of suggestion.

        A trial of an earlier launch is told of anew: the listeners are others, or may have missed its end.
        """
        for held in list(self._search.trials.values()):
            if held.waits and held.trial not in self._begun:
                self._begin(held.trial)
            if held.over and held.trial not in self._ended:
                self._begin(held.trial)
                self._end(held.trial)

    def join(self, listener: Listener, beat: Callable[[], None]) -> None:
        """Takes on one more listener, and something to do every now and then, in the thread that tells the others."""
        self._listeners = (*self._listeners, listener)
        self._beats.append(beat)

    def on_step_end(self, iteration: int, trials: Sequence[Any], **_: Any) -> None:
        """Tune has gone round its loop once more, as it does several times a second."""
        for beat in self._beats:
            beat()

    def on_trial_start(self, iteration: int, trials: Sequence[Any], trial: Any, **_: Any) -> None:
        """A trial has a process."""
        self._begin(trial.trial_id)
        for listener in self._listeners:
            listener.trial_started(trial.trial_id, trial.config)

    def on_trial_result(
        self, iteration: int, trials: Sequence[Any], trial: Any, result: Mapping[str, Any], **_: Any
    ) -> None:
        """A trial reported."""
        self._report(trial.trial_id, result)
        self._wait(trial.trial_id)

    def on_trial_complete(self, iteration: int, trials: Sequence[Any], trial: Any, **_: Any) -> None:
        """A trial ended without an exception."""
        self._begin(trial.trial_id)
        self._end(trial.trial_id)

    def on_trial_recover(self, iteration: int, trials: Sequence[Any], trial: Any, **_: Any) -> None:
        """A trial raised or lost its process, and is tried again."""
        self._begin(trial.trial_id)
        for listener in self._listeners:
            listener.trial_retried(trial.trial_id, error_of(trial))

    def on_trial_error(self, iteration: int, trials: Sequence[Any], trial: Any, **_: Any) -> None:
        """A trial raised once too often."""
        self._begin(trial.trial_id)
        self._end(trial.trial_id)

    def _begin(self, trial_id: str) -> None:
        """Tells of a trial for the first time in this launch, with what it had reported in others."""
        if trial_id in self._begun:
            return
        self._begun.add(trial_id)
        held = self._search.trials[trial_id]
        for listener in self._listeners:
            listener.trial_started(trial_id, held.config)
        for result in held.standing():
            self._report(trial_id, result)
        self._wait(trial_id)

    def _report(self, trial_id: str, result: Mapping[str, Any]) -> None:
        for listener in self._listeners:
            listener.trial_reported(trial_id, result)

    def _wait(self, trial_id: str) -> None:
        held = self._search.trials[trial_id]
        if held.state == "waiting":
            for listener in self._listeners:
                listener.trial_waits(trial_id, held.rung)

    def _end(self, trial_id: str) -> None:
        self._ended.add(trial_id)
        for listener in self._listeners:
            listener.trial_ended(trial_id, self._search.reason(trial_id))
