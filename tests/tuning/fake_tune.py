"""Ray Tune as far as a study touches it: a controller that starts, pauses, loses and stops trials, without Ray."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.utils import flatten_dict
from scripted import score

from tuning.search import StudySearch
from tuning.search.asha import GuardedASHA
from tuning.search.searcher import StudyTrials

RUNGS = (1, 3, 9)  # epochs of a budget of nine


@dataclass(eq=False)
class FakeTrial:
    """A trial of Tune, with its process and its checkpoints."""

    trial_id: str
    config: dict[str, Any]
    status: str = Trial.PENDING
    error_file: str | None = None
    epoch: int = 0
    saved: int = 0
    starts: int = 0
    pausing: bool = False
    last_result: dict[str, Any] = field(default_factory=dict)

    def is_finished(self) -> bool:
        return self.status in (Trial.TERMINATED, Trial.ERROR)


class FakeTrials(StudyTrials):
    """Makes fake trials; their checkpoints outlive a launch."""

    def __init__(self, search: StudySearch, disk: dict[str, int]) -> None:
        super().__init__(search)
        self.disk = disk

    def _made(self, work):
        return FakeTrial(work.trial, work.config, saved=self.disk.get(work.trial, 0))


class Controller:
    """Does with suggestions, results and decisions what Tune's controller does, one event a step.

    Args:
        search: The search.
        disk: The epoch of every trial's newest checkpoint; given to the next controller, it is a resumed study.
        dies: Says whether a trial's process dies in a step: before its report, or while it saves for a pause.
    """

    def __init__(self, search, disk=None, dies=lambda trial, when: False):
        self.disk = {} if disk is None else disk
        self.search_alg = FakeTrials(search, self.disk)
        self.scheduler = GuardedASHA(self.search_alg)
        self.trials: list[FakeTrial] = []
        self.told: list[tuple[str, str]] = []
        self.busiest = 0
        self._dies = dies

    def step(self):
        """Starts what is to start, and lets one process do something; returns whether there was one."""
        while len([t for t in self.trials if t.status == Trial.PENDING]) < 8:
            trial = self.search_alg.next_trial()
            if trial is None:
                break
            self.trials.append(trial)
            self.scheduler.on_trial_add(self, trial)
        chosen = self.scheduler.choose_trial_to_run(self)
        for trial in [chosen] if chosen else []:
            trial.status, trial.epoch, trial.starts = Trial.RUNNING, trial.saved, trial.starts + 1
        running = [t for t in self.trials if t.status == Trial.RUNNING]
        self.busiest = max(self.busiest, len(running))
        if running:
            self._event(min(running, key=lambda t: (t.epoch, t.trial_id)))
        return bool(running) or chosen is not None

    def run(self, steps=5000):
        """Steps until the search is over, as Tune does."""
        while steps and not (self.search_alg.is_finished() and all(t.is_finished() for t in self.trials)):
            self.step()
            steps -= 1
        assert steps, "it went on for ever"
        return self

    def _event(self, trial):
        if self._dies(trial, "saving" if trial.pausing else "training"):
            trial.pausing, trial.status = False, Trial.PENDING  # tried again from its checkpoint
            self.scheduler.on_trial_error(self, trial)
            self.scheduler.on_trial_add(self, trial)
        elif trial.pausing:
            trial.pausing, trial.status = False, Trial.PAUSED
            trial.saved = self.disk[trial.trial_id] = trial.epoch
        else:
            self._report(trial)

    def _report(self, trial):
        trial.epoch += 1
        rung = RUNGS.index(trial.epoch) if trial.epoch in RUNGS else -1
        trial.last_result = {
            "rung": rung,
            "val_spearman": score(trial.config, max(rung, 0)),
            "progress": trial.epoch / RUNGS[-1],
            "config": trial.config,
        }
        decision = self.scheduler.on_trial_result(self, trial, flatten_dict(trial.last_result))
        if decision == TrialScheduler.PAUSE:
            trial.pausing = True
        else:
            trial.saved = self.disk[trial.trial_id] = trial.epoch
        if decision == TrialScheduler.STOP:
            self.scheduler.on_trial_complete(self, trial, flatten_dict(trial.last_result))
            self._stopped(trial)

    def stop_trial(self, trial):
        """Ends a trial that has no process."""
        assert trial.status in (Trial.PENDING, Trial.PAUSED)
        self.scheduler.on_trial_remove(self, trial)
        self._stopped(trial)

    def _stopped(self, trial):
        trial.status = Trial.TERMINATED
        self.search_alg.on_trial_complete(trial.trial_id)
        self.told.append((trial.trial_id, self.search_alg.search.reason(trial.trial_id)))
