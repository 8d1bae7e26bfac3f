"""A study on Ray Tune: trials scheduled, listened to and, after an interruption, taken up again."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ray import tune

from tuning.cluster import Room
from tuning.events import Listener, TuneEvents, listening
from tuning.interruption import Interruption
from tuning.search import make_scheduler, make_searcher
from tuning.search.reading import has_reported
from tuning.snapshots import STATE, SnapshotCopies, mend
from tuning.study import Study
from tuning.trial import TuneTrial

FOLDER, COPIES = "tune", "snapshots"
FAILURES = 3  # times a trial is tried again after its process or node was lost

SETTINGS = {
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # see tuning.interruption
    "TUNE_GLOBAL_CHECKPOINT_S": "1",  # seconds between snapshots: what is begun after the last one is begun again
}


@dataclass
class Outcome:
    """What came of the trials of a study, collected from their events.

    Attributes:
        trials: The ids of all trials that Tune knows; a few may not have begun.
        rows: By trial id: ``trial_id``, ``config``, ``reason`` (empty while it runs) and its last result's values.
    """

    trials: set[str] = field(default_factory=set)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    def trial_started(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """Notes a trial."""
        self.rows.setdefault(trial_id, {"trial_id": trial_id, "reason": ""})["config"] = dict(config)

    def trial_reported(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Notes where a trial stands."""
        self.rows[trial_id] |= {k: result[k] for k in ("val_spearman", "progress", "rung") if k in result}

    def trial_retried(self, trial_id: str, error: str) -> None:
        """Nothing to note: the trial goes on."""

    def trial_ended(self, trial_id: str, reason: str) -> None:
        """Notes why a trial ended."""
        self.rows[trial_id]["reason"] = reason

    @property
    def failed(self) -> list[str]:
        """The trials that failed."""
        return [row["trial_id"] for row in self.rows.values() if row["reason"].startswith("failed")]


class TimeBudget(tune.Stopper):  # type: ignore[misc]  # Ray is untyped
    """Ends a study when all its launches together have run for so long.

    Tune brings its stopper back from the snapshot when a study is resumed; the time spent comes from there and the
    limit from the launch, which may have raised it.
    """

    limit: ClassVar[float | None] = None
    """Seconds that the study of this process may take; None for no limit."""

    def __init__(self) -> None:
        self.spent = 0.0
        self._since: float | None = None

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Stops no single trial."""
        return False

    def stop_all(self) -> bool:
        """Tells whether the time is spent; asked at every event."""
        now = time.monotonic()
        self.spent += now - (self._since or now)
        self._since = now
        return self.limit is not None and self.spent >= self.limit

    def __getstate__(self) -> dict[str, Any]:
        return {"spent": self.spent, "_since": None}


def run_trials(
    study: Study, room: Room, listeners: Sequence[Listener], interruption: Interruption, *, resume: bool, verbose: bool
) -> Outcome:
    """Runs a study's trials to the end, or until it is interrupted.

    Args:
        study: The study.
        room: What a trial takes, and how many run at once.
        listeners: Who is told what happens.
        interruption: Says afterwards whether the study was interrupted.
        resume: Whether to take up what an earlier process left; with nothing there the study starts afresh.
        verbose: Whether Ray Tune may talk.
    """
    outcome, space = Outcome(), study.space
    concurrent = room.trials if space.budget.concurrent == "auto" else int(space.budget.concurrent)
    scheduler = make_scheduler(space.scheduler, journal=f"{study.storage}/decisions.jsonl")
    folder, copies = Path(study.storage, FOLDER), Path(study.storage, COPIES)
    os.environ.update(SETTINGS)
    mend(folder, copies)
    TimeBudget.limit = space.budget.time
    with listening(outcome, *listeners), interruption.gently():
        # Without `metric`: Tune would raise for a result that lacks it, where the scheduler has a reason for its end.
        analysis = tune.run(
            tune.with_parameters(TuneTrial, study=study),
            name=FOLDER,
            storage_path=study.storage,
            resume=resume and any(folder.glob(STATE)),  # it may have been killed before the first snapshot
            search_alg=make_searcher(space, study.seed, concurrent),
            scheduler=scheduler,
            num_samples=space.budget.trials,
            stop=TimeBudget(),
            resources_per_trial={"cpu": room.cpu, "gpu": room.gpu},
            reuse_actors=True,
            trial_name_creator=_id_of,
            trial_dirname_creator=_id_of,
            callbacks=[TuneEvents(scheduler.reason), SnapshotCopies(folder, copies)],
            # The last but one stays until the snapshot names the last one.
            checkpoint_config=tune.CheckpointConfig(num_to_keep=2, checkpoint_frequency=1),
            max_failures=FAILURES,
            raise_on_failed_trial=False,
            verbose=1 if verbose else 0,
        )
    outcome.trials = {str(trial.trial_id) for trial in analysis.trials}
    if not interruption.seen:
        _end_the_rest(analysis.trials, outcome, listeners)
    return outcome


def _end_the_rest(trials: Sequence[Any], outcome: Outcome, listeners: Sequence[Listener]) -> None:
    """Ends the trials that ran, or were to go on, when the time was spent; Tune stops them without a word."""
    for trial in trials:
        if outcome.rows.get(trial.trial_id, {}).get("reason"):
            continue
        if trial.trial_id not in outcome.rows and not has_reported(trial.last_result):
            continue  # it never began
        progress = (trial.last_result or {}).get("progress", 0.0)
        for listener in (outcome, *listeners):
            listener.trial_started(trial.trial_id, trial.config)
            listener.trial_ended(trial.trial_id, f"ended early, at {progress:.0%} of its budget")


def _id_of(trial: Any) -> str:
    return str(trial.trial_id)
