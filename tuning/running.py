"""A study on Ray Tune: trials scheduled, listened to and, after an interruption, taken up again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tuning.cluster import Room
from tuning.events import Listener, TuneEvents, listening
from tuning.search import make_scheduler, make_searcher
from tuning.study import Study

FOLDER = "tune"
FAILURES = 3  # times a trial is tried again after its process or node was lost


@dataclass
class Outcome:
    """What came of the trials of a study, collected from their events.

    Attributes:
        rows: By trial id: ``trial_id``, ``config``, ``reason`` (empty while it runs) and its last result's values.
    """

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    def trial_started(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """Notes a trial."""
        self.rows.setdefault(trial_id, {"trial_id": trial_id, "reason": ""})["config"] = dict(config)

    def trial_reported(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Notes where a trial stands."""
        self.rows[trial_id] |= {
            k: result[k] for k in ("val_spearman", "progress", "rung", "branch_val_spearman") if k in result
        }

    def trial_retried(self, trial_id: str, error: str) -> None:
        """Nothing to note: the trial goes on."""

    def trial_ended(self, trial_id: str, reason: str) -> None:
        """Notes why a trial ended."""
        self.rows[trial_id]["reason"] = reason

    @property
    def interrupted(self) -> bool:
        """Whether trials are left that run or wait."""
        return not self.rows or any(not row["reason"] for row in self.rows.values())

    @property
    def failed(self) -> list[str]:
        """The trials that failed."""
        return [row["trial_id"] for row in self.rows.values() if row["reason"].startswith("failed")]


def run_trials(study: Study, room: Room, listeners: Sequence[Listener], *, resume: bool, verbose: bool) -> Outcome:
    """Runs a study's trials to the end, or until it is interrupted.

    Args:
        study: The study.
        room: What a trial takes, and how many run at once.
        listeners: Who is told what happens.
        resume: Whether to take up what an earlier process left; with nothing there the study starts afresh.
        verbose: Whether Ray Tune may talk.
    """
    outcome = Outcome()
    tuner = _restored(study, room) if resume and can_resume(study) else _fresh(study, room, verbose=verbose)
    with listening(outcome, *listeners):
        tuner.fit()
    return outcome


def can_resume(study: Study) -> bool:
    """Tells whether an earlier process has left a snapshot; it may have been killed before its first."""
    return any(Path(study.storage, FOLDER).glob("experiment_state-*.json"))


def _trainable(study: Study, room: Room) -> Any:
    from ray import tune

    from tuning.trial import TuneTrial

    return tune.with_resources(tune.with_parameters(TuneTrial, study=study), {"cpu": room.cpu, "gpu": room.gpu})


def _restored(study: Study, room: Room) -> Any:
    from ray import tune

    return tune.Tuner.restore(f"{study.storage}/{FOLDER}", trainable=_trainable(study, room), resume_unfinished=True)


def _fresh(study: Study, room: Room, *, verbose: bool) -> Any:
    from ray import tune

    space = study.space
    concurrent = room.trials if space.budget.concurrent == "auto" else int(space.budget.concurrent)
    scheduler = make_scheduler(space.scheduler, journal=f"{study.storage}/decisions.jsonl")
    return tune.Tuner(
        _trainable(study, room),
        tune_config=tune.TuneConfig(
            search_alg=make_searcher(space, study.seed, concurrent),
            scheduler=scheduler,
            num_samples=space.budget.trials,
            time_budget_s=space.budget.time,
            reuse_actors=True,
            trial_name_creator=lambda trial: trial.trial_id,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=tune.RunConfig(
            name=FOLDER,
            storage_path=study.storage,
            callbacks=[TuneEvents(scheduler.reason)],
            checkpoint_config=tune.CheckpointConfig(num_to_keep=2, checkpoint_frequency=1),
            failure_config=tune.FailureConfig(max_failures=FAILURES),
            verbose=1 if verbose else 0,
        ),
    )
