"""A cluster that is only imagined: trials of synthetic learning curves, on a clock of their own, in no process at all.

What decides and what is told is the study's own: its search with its journal, both of Ray Tune's sides of it, and every
listener of a launch. Only Tune's controller and the trials are imagined, and the controller asks as Tune's does: a look
for new trials, one trial started, one result taken in, one word to the listeners, around and around.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from tuning.events import TuneEvents
from tuning.score_metric import SPEARMAN
from tuning.search import StudySearch, Work
from tuning.search.asha import GuardedASHA
from tuning.search.searcher import StudyTrials

TASKS, FOLDS = ("Ball", "Clubs", "Hoop", "Ribbon"), 5
REPLICAS = tuple((task, fold) for task in TASKS for fold in range(FOLDS))
NAMES = tuple(f"{task}/fold{fold}/seed0" for task, fold in REPLICAS)
EVERY = 10  # epochs between two points of a curve
GROWTH = 60.0  # epochs in which a score comes 63% of its way
DIVERGES = 1.9e-3  # the learning rate above which a trial does, at its second rung
AN_ENGINE = 32  # trials that one holds
ADDED_BY_TUNE = {
    **{"training_iteration": 1, "date": "2026-11-23_12-00-00", "time_this_iter_s": 1.5, "time_total_s": 1.5},
    **{"pid": 1234, "hostname": "node-0", "node_ip": "10.0.0.1", "time_since_restore": 1.5, "timestamp": 1795000000},
    **{"iterations_since_restore": 1, "should_checkpoint": False, "node": "0" * 56},
}


@dataclass(eq=False)
class ImaginedTrial:
    """A trial of Tune that trains in no process: its curve follows from its settings and its number.

    Args:
        trial_id: Its id.
        config: Its settings.
        rungs: The epochs of the rungs.
    """

    trial_id: str
    config: dict[str, Any]
    rungs: Sequence[int]
    status: str = Trial.PENDING
    error_file: str | None = None
    rung: int = 0
    seconds: float = 0.0
    scores: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        noise = random.Random(self.trial_id)
        far = abs(math.log10(self.config["lr"] / 9e-4)) ** 1.5
        self.level = 1.05 - 0.9 * far - 0.006 * (self.config["fusion_nets"] - 8) ** 2 + noise.gauss(0, 0.02)
        self.leans = [noise.gauss(0, 0.07) for _ in REPLICAS]
        self.pace = (0.9 + 0.06 * self.config["fusion_nets"]) * noise.uniform(0.9, 1.1)  # seconds an epoch

    def is_finished(self) -> bool:
        """Whether it has ended."""
        return self.status in (Trial.TERMINATED, Trial.ERROR)

    @property
    def leg(self) -> float:
        """Seconds to the next rung."""
        return self.pace * (self.rungs[self.rung] - self._start)

    @property
    def _start(self) -> int:
        return self.rungs[self.rung - 1] if self.rung else 0

    def advance(self) -> dict[str, Any]:
        """Returns the result at the next rung, with all that a real trial says and Tune adds."""
        end = self.rungs[self.rung]
        self.seconds += self.leg
        curve = [self._point(epoch) for epoch in sorted({*range(self._start + EVERY, end, EVERY), end})]
        diverged = self.config["lr"] > DIVERGES and self.rung > 0
        last = curve[-1]
        folds = {
            str(f): SPEARMAN.average([last["scores"][f"{task}/fold{f}/seed0"] for task in TASKS]) for f in range(5)
        }
        if not diverged:
            self.scores[str(self.rung)] = last["val_spearman"]
        told = {
            "val_spearman": math.nan if diverged else last["val_spearman"],
            "epoch": end,
            "progress": end / self.rungs[-1],
            "rung": -1 if diverged else self.rung,
            "rung_scores": dict(self.scores),
            "folds": {"done": FOLDS, "of": FOLDS},
            "fold_scores": folds,
            "curve": curve,
            "curve_start": self._start // EVERY,
            "best_val_spearman": last["val_spearman"],
            "best_epoch": end,
            "branch_val_spearman": {"rgb": 0.61, "flow": 0.55, "audio": 0.43},
            "status_reason": "diverged: Hoop/fold2/seed0" if diverged else "",
            "train_seconds": self.seconds / AN_ENGINE,
            **{"attempt": 0, "device": "cuda:0", "parameters": 18_000_000, "done": False},
            **{"branches_trained": 0, "branches_loaded": 60, "branch_seconds": 0.0},
            "engine": int(self.trial_id) // AN_ENGINE % AN_ENGINE,
        }
        self.rung += 1
        return told | ADDED_BY_TUNE | {"trial_id": self.trial_id}

    def _point(self, epoch: int) -> dict[str, Any]:
        grown = self.level * (1 - math.exp(-epoch / GROWTH))
        noise = random.Random(f"{self.trial_id} {epoch}")
        values = [math.tanh(grown + lean + 0.02 * noise.random()) for lean in self.leans]
        point = {"epoch": epoch, "progress": epoch / self.rungs[-1], "val_spearman": SPEARMAN.average(values)}
        return {**point, "loss": 0.1, "constant": 0, "scores": dict(zip(NAMES, values, strict=True))}


class ImaginedTrials(StudyTrials):
    """Makes imagined trials; ``rungs`` are in epochs."""

    def __init__(self, search: StudySearch, rungs: Sequence[int]) -> None:
        super().__init__(search)
        self._rungs = rungs

    def _made(self, work: Work) -> ImaginedTrial:
        begun = self.search.trials[work.trial].rung + 1  # a trial of an earlier launch goes on from its checkpoint
        return ImaginedTrial(work.trial, work.config, self._rungs, rung=begun)


class Executor:
    """Tune's controller over an imagined cluster.

    Args:
        search: The search.
        events: What is told to the listeners.
        rungs: The epochs of the rungs.

    Attributes:
        now: Seconds on the imagined clock.
        reports: How many results were taken in.
        rungs: The epochs of the rungs.
    """

    def __init__(self, search: StudySearch, events: TuneEvents, rungs: Sequence[int], began: float = 0.0) -> None:
        self.search, self.events, self.now, self.reports, self.rungs = search, events, began, 0, rungs
        self.trials = ImaginedTrials(search, rungs)
        self.scheduler = GuardedASHA(self.trials)
        self._queue: list[tuple[float, int, ImaginedTrial]] = []
        self._order = itertools.count()

    def run(self, after: Callable[[], None] = lambda: None, until: Callable[[], bool] = lambda: False) -> None:
        """Runs the study to its end, or until somebody says so; calls ``after`` each time around."""
        while not (self.trials.is_finished() or until()):
            self._start()
            if self._queue:
                self._take_in()
            self.events.on_step_end(0, [])
            after()

    def _start(self) -> None:
        """Gives every free place to a trial, as many as there are new ones or promoted ones."""
        while True:
            fresh: ImaginedTrial | None = self.trials.next_trial()
            if fresh is not None:
                self.scheduler.on_trial_add(self, fresh)
            chosen: ImaginedTrial | None = self.scheduler.choose_trial_to_run(self)
            if chosen is None:
                return
            self.scheduler.on_trial_add(self, chosen)
            chosen.status = Trial.RUNNING
            self.events.on_trial_start(0, [], chosen)
            heapq.heappush(self._queue, (self.now + chosen.leg, next(self._order), chosen))

    def _take_in(self) -> None:
        """Goes on to the next result, and does what is decided on it."""
        self.now, _, trial = heapq.heappop(self._queue)
        result: Mapping[str, Any] = trial.advance()
        self.reports += 1
        action = self.scheduler.on_trial_result(self, trial, result)
        self.events.on_trial_result(0, [], trial, result)
        if action == TrialScheduler.CONTINUE:
            heapq.heappush(self._queue, (self.now + trial.leg, next(self._order), trial))
        elif action == TrialScheduler.PAUSE:
            trial.status = Trial.PAUSED
        else:
            self.stop_trial(trial)

    def stop_trial(self, trial: ImaginedTrial) -> None:
        """Ends a trial, as the scheduler may ask for."""
        trial.status = Trial.TERMINATED
        self.trials.on_trial_complete(trial.trial_id)
        self.events.on_trial_complete(0, [], trial)
