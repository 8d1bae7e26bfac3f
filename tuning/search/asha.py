"""Guarded ASHA on Ray Tune: its scheduler's interface to ``StudySearch``.

What Tune's own does otherwise, and why this is not a subclass of it: it lets a NaN run to the end, files a score under
every rung it has passed rather than the one it was measured at, forgets its rungs when a study is restored, and
promotes no trial.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.utils.util import unflatten_dict

from tuning.search.searcher import StudyTrials

_ACTIONS = {"goes on": TrialScheduler.CONTINUE, "waits": TrialScheduler.PAUSE, "ends": TrialScheduler.STOP}


class GuardedASHA(TrialScheduler):  # type: ignore[misc]  # Ray is untyped
    """Asks the search what becomes of a trial that has reported, and continues the trials that are promoted.

    Give ``TuneConfig`` no ``metric``: with one, Tune raises on a result that lacks it before this scheduler is asked.

    Args:
        trials: The other side of the same search.
    """

    _supports_buffered_results = False  # each decision must be acted on before the trial trains any further

    def __init__(self, trials: StudyTrials) -> None:
        super().__init__()
        self._trials, self._search = trials, trials.search

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Takes in a trial that starts, or is tried again: it is not paused any more."""
        self._goes_on(trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> str:
        """Returns whether the trial goes on."""
        self._goes_on(trial)
        nested = unflatten_dict(dict(result))
        whole = {name: value for name, value in nested.items() if name != "config"}
        return str(_ACTIONS[self._search.report(trial.trial_id, whole).action])

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> None:
        """Takes in the end of a trial that says by itself that it is done: Tune does not ask then."""
        if not self._search.reason(trial.trial_id):
            self.on_trial_result(tune_controller, trial, {**result, "done": True})

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Does nothing: the trial is tried again, or its end is told to the search by Tune."""

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Does nothing: the search has ended the trial."""

    def choose_trial_to_run(self, tune_controller: Any) -> Any | None:
        """Returns a trial that is promoted, or else the one that has waited longest for its first start.

        Trials that ended while they waited are stopped here, and so is one that lost its process after its end.
        """
        idle = [t for t in self._trials.unfinished() if t.status in (Trial.PENDING, Trial.PAUSED)]
        for trial in [t for t in idle if self._search.reason(t.trial_id)]:
            tune_controller.stop_trial(trial)
        for trial in self._trials.promoted:
            if trial.status == Trial.PAUSED:
                return trial
        return next((t for t in idle if t.status == Trial.PENDING), None)

    def debug_string(self) -> str:
        """Returns one line on every rung: how many scores it holds and the best of them."""
        rungs = sorted(self._search.rungs.scores.items())
        return " | ".join(
            f"rung {rung}: {len(scores)} trials, best {max(scores.values()):.3f}" for rung, scores in rungs
        )

    def save(self, checkpoint_path: str) -> None:
        """Does nothing: the search has its journal."""

    def restore(self, checkpoint_path: str) -> None:
        """Does nothing, for the same reason as ``save``."""

    def _goes_on(self, trial: Any) -> None:
        if trial in self._trials.promoted:
            self._trials.promoted.remove(trial)
