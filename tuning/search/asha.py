"""Guarded ASHA: Ray Tune's scheduler interface on top of ``Rungs``, ending what cannot be ranked with a reason.

What Tune's own does otherwise, and why this is not a subclass of it: it lets a NaN run to the end, files a score under
every rung it has passed rather than the one it was measured at, and forgets its rungs when a study is restored.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from tuning.search.reading import NOTHING, Reading, has_reported, read
from tuning.search.rungs import Decision, Rungs

_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*: \S")  # the line of a traceback that says what was raised


class SchedulerSection(Protocol):
    """What the ``scheduler`` section of a space says."""

    @property
    def type(self) -> str: ...  # noqa: D102

    @property
    def reduction(self) -> int: ...  # noqa: D102


class GuardedASHA(TrialScheduler):  # type: ignore[misc]  # Ray is untyped
    """Asynchronous successive halving on ``val_spearman`` (more is better), for trials that report at their rungs.

    A result counts only if its ``rung`` is 0 or more, and for exactly that rung; the one that completes the budget
    (``progress`` 1) ends the trial as finished. A score that is NaN, None, missing or infinite, or a result with a
    ``status_reason``, ends the trial with that reason. A restored trial brings its scores back by the ``rung_scores``
    of its last result, so the rungs of a resumed study are those it was interrupted with.

    Give ``TuneConfig`` no ``metric``: with one, Tune raises on a result that lacks it before this scheduler is asked.

    Args:
        reduction: Eta, the best 1/eta of a rung go on; None ends only faulty trials.
        journal: File to which every decision is appended as a line of JSON; None keeps no journal.
    """

    _supports_buffered_results = False  # each decision must be acted on before the trial trains any further

    def __init__(self, *, reduction: float | None, journal: str | None = None) -> None:
        super().__init__()
        self.rungs = Rungs(reduction)
        self._journal = journal
        self._reasons: dict[str, str] = {}

    def reason(self, trial_id: str) -> str:
        """Returns why a trial ended: ``finished``, ``stopped at rung 2`` or ``failed: ...``; empty if it has not."""
        return self._reasons.get(trial_id, "")

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Takes in a trial: a new one, one that is tried again after a failure, or one of an interrupted study."""
        reading = read(trial.last_result) if has_reported(trial.last_result) else NOTHING
        ended = trial.is_finished() or reading.done
        self.rungs.replay(trial.trial_id, reading.scores, ended=ended)
        self._reasons.pop(trial.trial_id, None)
        if ended:
            failure = _failure(trial) if trial.status == Trial.ERROR else ""
            self._reasons[trial.trial_id] = failure or _reason_of_an_ended_trial(reading)
        _tell_searcher(tune_controller, trial, reading, ended)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> str:
        """Returns whether the trial goes on."""
        return str(TrialScheduler.STOP if self._ends(trial.trial_id, read(result)) else TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> None:
        """Notes the reason of a trial that ended by itself or with the study's time budget."""
        reading = read(result)
        if not self._ends(trial.trial_id, reading):
            self._reasons[trial.trial_id] = _reason_of_an_early_end(reading)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Notes the failure; ``on_trial_add`` takes it back if the trial is tried again."""
        self._reasons[trial.trial_id] = _failure(trial)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Notes the reason of a trial that is ended while it waits."""
        self._reasons.setdefault(trial.trial_id, "ended before it ran")

    def choose_trial_to_run(self, tune_controller: Any) -> Any | None:
        """Returns the trial that has waited longest.

        A trial of an interrupted study that had been told to stop, but had not yet been recorded as ended, is ended
        here instead of being trained once more.
        """
        waiting = [t for t in list(tune_controller.get_trials()) if t.status in (Trial.PENDING, Trial.PAUSED)]
        for trial in [t for t in waiting if self.reason(t.trial_id)]:
            tune_controller.stop_trial(trial)
        runnable = [t for t in waiting if not self.reason(t.trial_id)]
        return min(runnable, key=lambda t: t.status == Trial.PAUSED, default=None)

    def debug_string(self) -> str:
        """Returns one line on every rung: how many scores it holds and the best of them."""
        rungs = sorted(self.rungs.scores.items())
        return " | ".join(
            f"rung {rung}: {len(scores)} trials, best {max(scores.values()):.3f}" for rung, scores in rungs
        )

    def save(self, checkpoint_path: str) -> None:
        """Does nothing: the trials' own records hold every score, and ``on_trial_add`` reads them back."""

    def restore(self, checkpoint_path: str) -> None:
        """Does nothing, for the same reason as ``save``."""

    def _ends(self, trial_id: str, reading: Reading) -> bool:
        """Records a reading and returns whether it ends the trial; the reason is noted if it does."""
        if trial_id in self._reasons:
            return True
        for rung, score in reading.scores.items():
            self.rungs.record(trial_id, rung, score)
        reason = f"failed: {reading.fault}" if reading.fault else ""
        if not reason and reading.rung >= 0:
            reason = self._verdict(trial_id, reading)
        if reason:
            self._reasons[trial_id] = reason
        if reading.fault:
            self._write(trial=trial_id, rung=reading.rung, goes_on=False, reason=reason)
        return bool(reason)

    def _verdict(self, trial_id: str, reading: Reading) -> str:
        known = self.rungs.decided(trial_id, reading.rung)
        decision = self.rungs.decide(trial_id, reading.rung)
        reason = "finished" if reading.finished else _reason_of(decision)
        if not known:
            self._write(**asdict(decision) | {"goes_on": not reason}, reason=reason)
        return reason

    def _write(self, **entry: Any) -> None:
        if self._journal is not None:
            with Path(self._journal).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"time": time.time(), **entry}) + "\n")


def make_scheduler(scheduler: SchedulerSection, journal: str | None = None) -> GuardedASHA:
    """Returns the scheduler of a study, for ``TuneConfig(scheduler=...)``; type ``none`` ends only faulty trials.

    Raises:
        ValueError: If the type is unknown, or ``reduction`` is below 2.
    """
    if scheduler.type not in ("asha", "none"):
        raise ValueError(f"scheduler.type: {scheduler.type!r} is not one of asha, none")
    return GuardedASHA(reduction=scheduler.reduction if scheduler.type == "asha" else None, journal=journal)


def _reason_of(decision: Decision) -> str:
    return "" if decision.goes_on else f"stopped at rung {decision.rung}"


def _reason_of_an_ended_trial(reading: Reading) -> str:
    """Returns the reason of a trial that an interrupted study had ended; its last result is all there is."""
    if reading.fault:
        return f"failed: {reading.fault}"
    if reading.finished:
        return "finished"
    return f"stopped at rung {reading.rung}" if reading.rung >= 0 else _reason_of_an_early_end(reading)


def _reason_of_an_early_end(reading: Reading) -> str:
    return f"ended early, at {reading.progress:.0%} of its budget"


def _failure(trial: Any) -> str:
    """Returns what a trial raised, in one line: the last exception of its error file."""
    path = Path(trial.error_file) if trial.error_file else None
    text = path.read_text(encoding="utf-8", errors="replace") if path and path.exists() else ""
    lines = [line for line in text.splitlines() if line.strip()]
    raised = [line for line in lines if _EXCEPTION.match(line)] or lines or ["no error was recorded"]
    return f"failed: {raised[-1].strip()}"


def _tell_searcher(tune_controller: Any, trial: Any, reading: Reading, ended: bool) -> None:
    """Tells the searcher of a trial that Tune knows, since their snapshots may differ after a kill."""
    searcher = getattr(tune_controller.search_alg, "searcher", None)
    while searcher is not None and not hasattr(searcher, "adopt"):
        searcher = getattr(searcher, "searcher", None)
    if searcher is not None:
        failed = bool(reading.fault) or trial.status == Trial.ERROR
        searcher.adopt(trial.trial_id, trial.config, reading.scores, ended=ended, failed=failed)
