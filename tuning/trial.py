"""One trial of a study, readable top to bottom: the branches it needs, phase 2, a report at every rung.

It knows nothing of Ray: `tuning.tune_trial` runs one in a process of its own, `tuning.engine` many in one process.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pamfn.phases.training import milestone_epoch
from tuning.cohort import Cohort, CohortMaker
from tuning.divergence import BranchDiverged
from tuning.folds_ahead import Leg, legs, members
from tuning.milestone import Milestone, fold_scores, joined
from tuning.networks import Networks
from tuning.study import Study
from tuning.study_data import StudyData, training_data
from tuning.trial_files import read_checkpoint, write_checkpoint

CHECKPOINT_SECONDS = 300.0  # a trial killed between rungs loses no more than this, and one milestone


class Trial:
    """All replicas of one configuration, trained from rung to rung.

    With ``evaluation.first_folds`` those of the first folds go ahead to the first rung, where the trial reports what
    they score and may be ended; then the others catch up, and all go on side by side. The learning curve has milestones
    that all replicas have reached; those of the first folds wait for the others'.

    Args:
        study: The study it belongs to.
        config: Values of the searched settings.
        cohorts: Puts its replicas side by side; by default in programs of its own.
        data: The study's data where they are in memory; by default they are read.
        clock: Seconds of training, which never go back; a device that is shared counts a trial's share of it.
    """

    def __init__(
        self,
        study: Study,
        config: Mapping[str, Any],
        cohorts: CohortMaker = Cohort,
        data: StudyData | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.study, self.config = study, dict(config)
        self.recipe = study.space.recipe(config)
        self.data = data or training_data(study, "cuda" if torch.cuda.is_available() else "cpu")
        self.networks = Networks(self.recipe, self.data, study.branch_store, cohorts, clock)
        self.rungs, self.first_folds = study.rungs(self.recipe), study.space.evaluation.first_folds
        self.legs = legs(study.milestones(self.recipe), self.rungs[0], self.first_folds)
        self.ahead: list[Milestone] = []
        self.curve: list[dict[str, Any]] = []
        self.rung_scores: dict[str, float] = {}
        self.fold_scores: dict[str, float] = {}
        self.best: list[dict[str, Tensor]] = []
        self.reason = ""
        self.train_seconds = 0.0
        self.attempt = 0
        self._clock = clock

    @property
    def passed(self) -> int:
        """How many legs lie behind it: two checkpoints of a trial that have passed as many hold the same."""
        return len(self.ahead) + len(self.curve)

    def standing(self) -> dict[str, Any]:
        """Returns what there is to tell of the trial as it stands, its whole curve included, without training."""
        # Not known before it trains in this process:
        here = ("parameters", "branches_trained", "branches_loaded", "branch_seconds")
        return {name: value for name, value in self._result(0).items() if name not in here or self.networks.parameters}

    def close(self) -> None:
        """Gives back what its networks hold; the trial is not to be used any more."""
        self.networks.close()

    def advance(self) -> dict[str, Any]:
        """Trains to the next rung, or for five minutes, and returns the result that Tune is told."""
        begin, began, first = time.monotonic(), self._clock(), len(self.curve)
        try:
            for leg in self.legs[self.passed :]:
                self._train(leg)
                if self.reason or self._rung(leg.progress) >= 0 or time.monotonic() - begin > CHECKPOINT_SECONDS:
                    break
        except BranchDiverged as error:
            self.reason = str(error)
        self.train_seconds += self._clock() - began
        return self._result(first)

    def _train(self, leg: Leg) -> None:
        """Trains the replicas of a leg to its milestone, which is a point of the curve once all have reached it."""
        milestone = self.networks.train(members(leg.part, self.data.replicas, self.first_folds), leg.progress)
        if leg.part == "first":
            self.ahead.append(milestone)
            self.reason = milestone.fault
        else:
            if leg.part == "rest":
                milestone = joined(self.networks.names, self.ahead[len(self.curve)], milestone)
            self._complete(milestone)
        if self._rung(leg.progress) >= 0 and not self.reason:
            self.fold_scores = fold_scores(milestone, self.data.replicas)

    def _complete(self, milestone: Milestone) -> None:
        """Judges a milestone that all replicas have reached; it becomes a point of the curve."""
        rung = self._rung(milestone.progress)
        epoch = milestone_epoch(milestone.progress, self.recipe.epochs_of(self.study.tasks[0].name))
        self.curve.append(milestone.point(epoch))
        self.reason = milestone.fault or (milestone.sameness if rung >= 0 else "")
        if self.reason:
            return
        if self._best() is self.curve[-1]:
            self.best = [_weights(state) for state in self.networks.states().values()]
        if rung >= 0:
            self.rung_scores[str(rung)] = milestone.score

    def _best(self) -> dict[str, Any] | None:
        """Returns the best point of the curve, the first of equals; at it all replicas must have stood at one time."""
        begin = self.rungs[0] if self.first_folds else 0.0
        points = [p for p in self.curve if p["progress"] >= begin and not math.isnan(p["val_spearman"])]
        return max(points, key=lambda p: p["val_spearman"], default=None)

    def _rung(self, progress: float) -> int:
        """Returns the index of the rung at which a milestone lies, or -1."""
        return self.rungs.index(progress) if progress in self.rungs else -1

    def _result(self, first: int) -> dict[str, Any]:
        nothing = {"epoch": 0, "progress": 0.0, "val_spearman": math.nan if self.reason else None}
        last: dict[str, Any] = self.curve[-1] if self.curve else nothing
        best, (trained, loaded) = self._best() or last, self.networks.branch_counts()
        return {
            "val_spearman": math.nan if self.reason else last["val_spearman"],
            "epoch": last["epoch"],
            "progress": last["progress"],
            "rung": self._rung(last["progress"]) if not self.reason else -1,
            "rung_scores": dict(self.rung_scores),
            "folds": {"done": len(self.fold_scores), "of": self.study.space.evaluation.folds},
            "fold_scores": dict(self.fold_scores),
            "curve": self.curve[first:],
            "curve_start": first,
            "best_val_spearman": best["val_spearman"],
            "best_epoch": best["epoch"],
            "branch_val_spearman": self.networks.branch_averages(),
            "status_reason": self.reason,
            "attempt": self.attempt,
            "device": str(self.data.bank.device),
            "parameters": self.networks.parameters,
            "train_seconds": self.train_seconds,
            "branches_trained": trained,
            "branches_loaded": loaded,
            "branch_seconds": self.networks.branch_seconds,
            "done": bool(self.reason) or last["progress"] == 1.0,
        }

    def save(self, folder: Path) -> None:
        """Writes a checkpoint from which `load` continues with the same numbers."""
        states = self.networks.states()
        standing = {
            "config": self.config,
            "digest": self.study.digest,
            "replicas": list(states),
            "branches": self.networks.branch_keys(),
            "branch_scores": self.networks.branch_scores,
            "branches_trained": self.networks.branch_counts()[0],
            "branch_seconds": self.networks.branch_seconds,
            "ahead": [asdict(milestone) for milestone in self.ahead],
            "curve": self.curve,
            "best_epoch": (self._best() or {}).get("epoch"),
            "rung_scores": self.rung_scores,
            "fold_scores": self.fold_scores,
            "reason": self.reason,
            "train_seconds": self.train_seconds,
            "attempt": self.attempt,
        }
        ended = bool(self.curve) and self.curve[-1]["progress"] == 1.0
        write_checkpoint(folder, list(states.values()), self.best, standing, ended=ended)

    def load(self, folder: Path) -> None:
        """Continues from a checkpoint.

        Raises:
            ValueError: If it is of another version.
        """
        states, self.best, standing = read_checkpoint(folder)
        self.networks.restore(
            dict(zip(standing["replicas"], states, strict=True)),
            standing["branch_scores"],
            standing.get("branches_trained", 0),
            standing.get("branch_seconds", 0.0),
        )
        self.ahead = [Milestone(**milestone) for milestone in standing["ahead"]]
        self.curve, self.rung_scores = standing["curve"], standing["rung_scores"]
        self.fold_scores, self.reason = standing["fold_scores"], standing["reason"]
        self.train_seconds, self.attempt = standing["train_seconds"], standing["attempt"] + 1


def _weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix = "weights/"
    return {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}
