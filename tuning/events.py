"""From Ray Tune's callbacks to whoever wants to know: the tracker and the console are told the same few things."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from ray.tune import Callback


class Listener(Protocol):
    """Told what happens to trials; being told the same thing twice must change nothing."""

    def trial_started(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """A trial started, or started again after a restore."""

    def trial_reported(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """A trial reported."""

    def trial_retried(self, trial_id: str, error: str) -> None:
        """A trial failed and will start again from its checkpoint."""

    def trial_ended(self, trial_id: str, reason: str) -> None:
        """A trial ended: ``finished``, ``stopped at rung 2``, ``failed: why``."""


_listeners: tuple[Listener, ...] = ()


@contextmanager
def listening(*listeners: Listener) -> Iterator[None]:
    """Connects listeners to every :class:`TuneEvents` of this process for the length of the block.

    Tune pickles its callbacks and brings them back by itself when a study is restored; a tracker's connection and a
    console's terminal cannot travel that way, so a callback looks its listeners up when something happens.
    """
    global _listeners
    before, _listeners = _listeners, listeners
    try:
        yield
    finally:
        _listeners = before


class TuneEvents(Callback):  # type: ignore[misc]  # Ray is untyped
    """Forwards Tune's events to the connected listeners.

    Args:
        reason: Says why a trial ended. A bound method of the scheduler is right: Tune pickles both together, so that
            they are still one after a restore.
    """

    def __init__(self, reason: Callable[[str], str]) -> None:
        self._reason = reason
        self._ended: set[str] | None = None
        self._begun: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        """A restored study tells everything again: its listeners are new, and may have missed the end of a trial."""
        return {**self.__dict__, "_ended": None, "_begun": set()}

    def on_step_begin(self, iteration: int, trials: Sequence[Any], **_: Any) -> None:
        """Tells, at the first step, of trials that ended in an earlier process."""
        if self._ended is None:
            self._tell_ended(trials)

    def on_experiment_end(self, trials: Sequence[Any], **_: Any) -> None:
        """Tells of ended trials where there was no step: a restored study had nothing left to do.

        After a step it must not: Tune has then stopped what was still running, and these trials have not ended.
        """
        if self._ended is None:
            self._tell_ended(trials)

    def on_trial_start(self, iteration: int, trials: Sequence[Any], trial: Any, **_: Any) -> None:
        """A trial has a process."""
        self._begun.add(trial.trial_id)
        for listener in _listeners:
            listener.trial_started(trial.trial_id, trial.config)

    def on_trial_result(
        self, iteration: int, trials: Sequence[Any], trial: Any, result: Mapping[str, Any], **_: Any
    ) -> None:
        """A trial reported."""
        for listener in _listeners:
            listener.trial_reported(trial.trial_id, result)

    def on_trial_complete(self, iteration: int, trials: Sequence[Any], trial: Any, **_: Any) -> None:
        """A trial ended without an exception; one of a restored study or of a spent budget may not have begun here."""
        if trial.trial_id in self._begun:
            self._end(trial)
        else:
            self._replay(trial)

    def on_trial_recover(self, iteration: int, trials: Sequence[Any], trial: Any, **_: Any) -> None:
        """A trial raised or lost its process, and is tried again."""
        for listener in _listeners:
            listener.trial_retried(trial.trial_id, error_of(trial))

    def on_trial_error(self, iteration: int, trials: Sequence[Any], trial: Any, **_: Any) -> None:
        """A trial raised once too often."""
        self._end(trial)

    def _tell_ended(self, trials: Sequence[Any]) -> None:
        self._ended = self._ended or set()
        for trial in sorted(trials, key=lambda trial: str(trial.trial_id)):  # a restore has them in no order of time
            if trial.status in ("TERMINATED", "ERROR") and trial.trial_id not in self._ended:
                self._replay(trial)

    def _replay(self, trial: Any) -> None:
        for listener in _listeners:
            listener.trial_started(trial.trial_id, trial.config)
            if trial.last_result and "val_spearman" in trial.last_result:
                listener.trial_reported(trial.trial_id, trial.last_result)
        self._end(trial)

    def _end(self, trial: Any) -> None:
        self._ended = (self._ended or set()) | {trial.trial_id}
        for listener in _listeners:
            listener.trial_ended(trial.trial_id, self._ending(trial))

    def _ending(self, trial: Any) -> str:
        failure = f"failed: {error_of(trial)}" if trial.status == "ERROR" else "ended without a reason"
        return self._reason(trial.trial_id) or failure


def error_of(trial: Any) -> str:
    """Returns a trial's last exception in one line, as its error file ends; Tune copies that file to the storage later.

    The file begins with Ray's own wrapping, and its last line is the exception's own type and message.
    """
    path = Path(trial.error_file) if trial.error_file else None
    text = path.read_text(encoding="utf-8", errors="replace") if path and path.exists() else ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no reason was recorded"
