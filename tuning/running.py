"""A study on Ray Tune: trials started, listened to and, after an interruption, taken up again from the journal."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ray import tune
from ray.tune.execution import class_cache

from tuning.cluster import Room
from tuning.engine.device import Device, abandon
from tuning.engine.pool import DeviceListener, EnginePool, Wanted
from tuning.engine.sizing import engines_of, trials_at_once
from tuning.engine.thin import ThinTrial, nothing
from tuning.events import Listener, TuneEvents
from tuning.interruption import Interruption
from tuning.keeping import FOLDER, begin_launch, launches
from tuning.search import StudySearch
from tuning.search.asha import GuardedASHA
from tuning.search.searcher import StudyTrials
from tuning.spending import BudgetStopper
from tuning.study import Study
from tuning.study_search import journal_at, search_of
from tuning.tune_trial import TuneTrial
from tuning.warm_start import settled_prior

FAILURES = 3  # times a trial is tried again after its process or node was lost

SETTINGS = {
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # see tuning.interruption
    "TUNE_GLOBAL_CHECKPOINT_S": "inf",  # Tune's snapshots are never read
}

SECRETS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN"}
"""What Tune would put into each trial's runtime environment, which Ray writes to its logs; nodes have them already."""


@dataclass
class Outcome:
    """What came of the trials of a study, collected from their events.

    Attributes:
        rows: By trial id: ``trial_id``, ``config``, ``reason`` (empty while it runs) and its last result's values, with
            the ``scores`` of its replicas.
        notes: What the search has found out, for people.
    """

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def trial_started(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """Notes a trial."""
        self.rows.setdefault(trial_id, {"trial_id": trial_id, "reason": ""})["config"] = dict(config)

    def trial_reported(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Notes where a trial stands."""
        self.rows[trial_id] |= {k: result[k] for k in ("val_spearman", "progress", "rung") if k in result}
        if result.get("curve"):
            self.rows[trial_id]["scores"] = dict(result["curve"][-1].get("scores") or {})

    def trial_waits(self, trial_id: str, rung: int) -> None:
        """Nothing to note: the trial has not ended."""

    def trial_retried(self, trial_id: str, error: str) -> None:
        """Nothing to note: the trial goes on."""

    def trial_ended(self, trial_id: str, reason: str) -> None:
        """Notes why a trial ended."""
        self.rows[trial_id]["reason"] = reason

    @property
    def failed(self) -> list[str]:
        """The trials that failed."""
        return [row["trial_id"] for row in self.rows.values() if row["reason"].startswith("failed")]


def run_trials(
    study: Study,
    room: Room,
    listeners: Sequence[Listener],
    interruption: Interruption,
    *,
    verbose: bool,
    note: Callable[[str], None],
    device_listeners: Sequence[DeviceListener] = (),
) -> Outcome:
    """Runs a study's trials to the end, or until it is interrupted; what its journal tells of is not run again.

    Args:
        study: The study.
        room: What an engine takes, or a trial, and how many there can be.
        listeners: Who is told what happens.
        interruption: Says afterwards whether the study was interrupted.
        verbose: Whether Ray Tune may talk.
        note: Tells people a line.
        device_listeners: Who is told what the devices do.

    Raises:
        JournalError: If the journal of an earlier launch is damaged.
    """
    outcome = Outcome()
    settled_prior(study)
    search = search_of(study, trials_at_once(study, room), journal_at(study.storage))
    budget = study.space.budget
    stopper = BudgetStopper(
        search, seconds=budget.time, device_seconds=budget.device_time, devices=room.gpu or room.cpu
    )
    events = TuneEvents(search, [outcome, *listeners])
    launch = _launched(search, study)
    with interruption.gently():
        events.catch_up()
        if not (search.done or stopper.stop_all()):
            with _trials(study, room, search, events, launch, note, device_listeners) as trials:
                _run(study, trials, search, events, stopper, launch, verbose=verbose)
    if not interruption.seen:
        spent = search.spent or ("" if search.done else stopper.spent)
        search.stop()
        events.catch_up()
        outcome.notes = [*search.rungs.findings(), *([f"no further trial: {spent}"] if spent else [])]
    return outcome


def _launched(search: StudySearch, study: Study) -> int:
    """Notes a launch, and returns its number, from 1: one that no folder of an earlier launch bears.

    A journal that lost its end, and was resumed as its damage report says, tells of fewer launches than there were.
    """
    space = hashlib.sha256(study.space.model_dump_json().encode()).hexdigest()
    search.journal.append("launched", seed=study.seed, concurrent=search.settings.concurrent, space=space)
    told: int = sum(event["event"] == "launched" for event in search.journal.events)
    launch = max([told, *(number + 1 for number in launches(study.kept))])
    begin_launch(study.kept, launch)
    return launch


@dataclass(frozen=True)
class _Trials:
    """What Tune is to run for each trial.

    Args:
        trainable: The trainable.
        resources: What it takes of a node.
        checkpoints: How many results lie between two checkpoints that Tune takes; 0 for none.
    """

    trainable: Any
    resources: Any
    checkpoints: int


@contextmanager
def _trials(
    study: Study,
    room: Room,
    search: StudySearch,
    events: TuneEvents,
    launch: int,
    note: Callable[[str], None],
    listeners: Sequence[DeviceListener],
) -> Iterator[_Trials]:
    """Starts engines, unless each trial is to train in a process of its own, and ends them."""
    if study.space.resources.engine == "off":
        trainable = tune.with_parameters(TuneTrial, study=study, launch=launch)
        yield _Trials(trainable, {"cpu": room.cpu, "gpu": room.gpu}, int(study.kept.store is None))
        return
    wanted = Wanted(
        engines_of(study, room), room.cpu, room.gpu, search.settings.concurrent, partial(Device, fatal=abandon)
    )
    with EnginePool(study, launch, wanted, note, listeners) as pool:
        events.join(pool, pool.tell)
        yield _Trials(tune.with_parameters(ThinTrial, engines=pool.engines), nothing(), 0)


def _run(
    study: Study,
    how: _Trials,
    search: StudySearch,
    events: TuneEvents,
    stopper: BudgetStopper,
    launch: int,
    *,
    verbose: bool,
) -> None:
    """Runs what is to run on Tune, in a folder of this launch."""
    trials = StudyTrials(search)
    os.environ.update({**SETTINGS, "TUNE_MAX_PENDING_TRIALS_PG": str(search.settings.concurrent)})
    class_cache.ENV_VARS_TO_PROPAGATE.difference_update(SECRETS)
    # Without `metric`: Tune would raise for a result that lacks it, where the search has a reason for its end.
    tune.run(
        how.trainable,
        name=str(launch),
        storage_path=str(study.folder / FOLDER),
        search_alg=trials,
        scheduler=GuardedASHA(trials),
        stop=stopper,
        resources_per_trial=how.resources,
        reuse_actors=True,
        trial_name_creator=_id_of,
        trial_dirname_creator=_id_of,
        callbacks=[events],
        checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=how.checkpoints),
        max_failures=FAILURES,
        raise_on_failed_trial=False,
        verbose=1 if verbose else 0,
    )


def _id_of(trial: Any) -> str:
    return str(trial.trial_id)
