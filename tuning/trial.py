"""One trial of a study, readable top to bottom: the branches it needs, phase 2, a report at every rung.

`Trial` knows nothing of Ray; `TuneTrial` is the thin adapter that Ray Tune runs in an actor.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune
from torch import Tensor

from pamfn.metrics import fisher_mean
from pamfn.phases.fusion import fusion_training
from pamfn.phases.memory import replicas_at_once
from pamfn.phases.training import Report, Training, milestone_epoch
from pamfn.replicas.cut import cut
from tuning.branches import BranchStore
from tuning.divergence import BranchDiverged, first_fault
from tuning.pretraining import Pretraining
from tuning.study import Study
from tuning.study_data import training_data
from tuning.trial_files import is_complete, read_checkpoint, write_checkpoint

CHECKPOINT_SECONDS = 300.0  # a trial killed between rungs loses no more than this, and one milestone


class Trial:
    """All replicas of one configuration, trained from rung to rung.

    Args:
        study: The study it belongs to.
        config: Values of the searched settings.
    """

    def __init__(self, study: Study, config: Mapping[str, Any]) -> None:
        self.study, self.config = study, dict(config)
        self.recipe = study.space.recipe(config)
        self.data = training_data(study, "cuda" if torch.cuda.is_available() else "cpu")
        self.rungs, self.milestones = study.rungs(self.recipe), study.milestones(self.recipe)
        self.curve: list[dict[str, Any]] = []
        self.rung_scores: dict[str, float] = {}
        self.best: list[dict[str, Tensor]] = []
        self.branch_scores: dict[str, float] = {}
        self.reason = ""
        self.train_seconds = 0.0
        self.attempt = 0
        self.parameters = 0
        self._trainings: list[Training] = []
        self._pretraining: Pretraining | None = None

    def start(self) -> None:
        """Gets the pretrained branches, and builds the networks on top of them.

        Raises:
            BranchDiverged: If a branch that had to be trained here diverged.
        """
        replicas, branches = self.data.replicas, None
        if self.recipe.phases == "two":
            store = BranchStore(self.study.branch_store)
            self._pretraining = Pretraining(self.recipe, replicas, self.data.bank, self.data.contents, store)
            branches, scores = self._pretraining.branches()
            self.branch_scores = {m: fisher_mean(values) for m, values in scores.items()}
        room = replicas_at_once(self.recipe, self.data.bank.widths, len(replicas), self.data.bank.device)
        for first in range(0, len(replicas), room):
            some = slice(first, first + room)
            mine = None if branches is None else {m: states[some] for m, states in branches.items()}
            self._trainings.append(fusion_training(self.recipe, replicas[some], self.data.bank, mine))
        self.parameters = _parameters(self._trainings[0])

    def advance(self) -> dict[str, Any]:
        """Trains to the next rung, or for five minutes, and returns the result that Tune is told."""
        begin, first = time.monotonic(), len(self.curve)
        try:
            if not self._trainings:
                self.start()
            for point in self._points():
                self.curve.append(point)
                if self.reason or self._rung(point) >= 0 or time.monotonic() - begin > CHECKPOINT_SECONDS:
                    break
        except BranchDiverged as error:
            self.reason = str(error)
        self.train_seconds += time.monotonic() - begin
        return self._result(first)

    def _points(self) -> Iterator[dict[str, Any]]:
        """Yields the learning curve from here on, one point a milestone."""
        done = self.curve[-1]["progress"] if self.curve else 0.0
        for progress in self.milestones:
            if progress > done:
                reports = [report for training in self._trainings for report in training.run([progress])]
                yield self._point(progress, reports)

    def _point(self, progress: float, reports: list[Report]) -> dict[str, Any]:
        names = [replica.name for replica in self.data.replicas]
        scores = [score for report in reports for score in report.scores]
        losses = [loss for report in reports for loss in report.losses if not math.isnan(loss)]
        constant = sum(flag for report in reports for flag in report.constant)
        ended = [why for report in reports for why in report.ended]
        point: dict[str, Any] = {
            "epoch": milestone_epoch(progress, self.recipe.epochs_of(self.study.tasks[0].name)),
            "progress": progress,
            "val_spearman": fisher_mean(scores),
            "loss": sum(losses) / len(losses) if losses else math.nan,
            "constant": constant,
            "scores": dict(zip(names, scores, strict=True)),
        }
        if fault := first_fault(names, ended):
            self.reason = fault
        elif self._rung(point) >= 0 and 2 * constant > len(scores):
            self.reason = f"constant: {constant} of {len(scores)} replicas predict one value for all videos"
        elif not self.best or point["val_spearman"] > max(p["val_spearman"] for p in self.curve):
            self.best = [_weights(state) for state in self._states()]
        if self._rung(point) >= 0 and not self.reason:
            self.rung_scores[str(self._rung(point))] = point["val_spearman"]
        return point

    def _rung(self, point: Mapping[str, Any]) -> int:
        """Returns the index of the rung at which a point lies, or -1."""
        return self.rungs.index(point["progress"]) if point["progress"] in self.rungs else -1

    def _result(self, first: int) -> dict[str, Any]:
        last = self.curve[-1] if self.curve else {"epoch": 0, "progress": 0.0, "val_spearman": math.nan}
        scored = [p for p in self.curve if not math.isnan(p["val_spearman"])]
        best = max(scored, key=lambda p: p["val_spearman"], default=last)
        return {
            "val_spearman": math.nan if self.reason else last["val_spearman"],
            "epoch": last["epoch"],
            "progress": last["progress"],
            "rung": self._rung(last) if self.curve and not self.reason else -1,
            "rung_scores": dict(self.rung_scores),
            "curve": self.curve[first:],
            "curve_start": first,
            "best_val_spearman": best["val_spearman"],
            "best_epoch": best["epoch"],
            "branch_val_spearman": dict(self.branch_scores),
            "status_reason": self.reason,
            "attempt": self.attempt,
            "device": str(self.data.bank.device),
            "parameters": self.parameters,
            "train_seconds": self.train_seconds,
            "branches_trained": self._pretraining.trained if self._pretraining else 0,
            "branches_loaded": self._loaded(),
            "done": bool(self.reason) or last["progress"] == 1.0,
        }

    def _loaded(self) -> int:
        if self._pretraining is None or not self._trainings:
            return 0
        return sum(map(len, self._pretraining.keys.values())) - self._pretraining.trained

    def _states(self) -> list[dict[str, Tensor]]:
        return [t.state(replica) for t in self._trainings for replica in range(len(t.replicas))]

    def save(self, folder: Path) -> None:
        """Writes a checkpoint from which `load` continues with the same numbers."""
        standing = {
            "config": self.config,
            "digest": self.study.digest,
            "replicas": [replica.name for replica in self.data.replicas],
            "branches": self._pretraining.keys if self._pretraining else {},
            "curve": self.curve,
            "rung_scores": self.rung_scores,
            "reason": self.reason,
            "train_seconds": self.train_seconds,
            "attempt": self.attempt,
        }
        ended = bool(self.curve) and self.curve[-1]["progress"] == 1.0
        write_checkpoint(folder, self._states(), self.best, standing, ended=ended)

    def load(self, folder: Path) -> None:
        """Continues from a checkpoint.

        Raises:
            ValueError: If it is of another version, or does not fit the configuration.
        """
        states, self.best, standing = read_checkpoint(folder)
        self.curve, self.rung_scores = standing["curve"], standing["rung_scores"]
        self.reason, self.train_seconds = standing["reason"], standing["train_seconds"]
        self.attempt = standing["attempt"] + 1
        if not states:  # saved before phase 2 began
            return
        self.start()
        rest = iter(states)
        for training in self._trainings:
            for replica in range(len(training.replicas)):
                training.restore(replica, next(rest))


def _weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix = "weights/"
    return {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}


def _parameters(training: Training) -> int:
    """Returns the parameters of one network, fixed branches included."""
    mine = cut(training.network, 0)
    return sum(mine[name].numel() for name, _ in training.network.named_parameters())


class TuneTrial(tune.Trainable):  # type: ignore[misc]  # Ray is untyped
    """A `Trial` as Ray Tune runs it: one step is one rung."""

    def setup(self, config: dict[str, Any], study: Study) -> None:
        """Takes the configuration; Tune calls it once an actor."""
        threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
        torch.set_num_threads(max(1, threads))
        self._study = study
        self._trial = Trial(study, config)

    def step(self) -> dict[str, Any]:
        """Trains to the next rung; the result says on which node of the cluster that was."""
        return {**self._trial.advance(), "node": ray.get_runtime_context().get_node_id()}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Writes the trial into the folder that Tune gives."""
        self._trial.save(Path(checkpoint_dir))

    def restore(self, checkpoint_path: Any) -> None:
        """Continues from a checkpoint.

        A killed study's snapshot may name one that was removed since: the trial begins anew, to the same numbers.
        """
        if is_complete(Path(checkpoint_path.checkpoint.path)):
            super().restore(checkpoint_path)

    def load_checkpoint(self, checkpoint: str) -> None:
        """Continues from a folder that Tune gives."""
        self._trial.load(Path(checkpoint))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Turns the actor over to another trial; nothing of the former one stays but the data in memory."""
        self._trial = Trial(self._study, new_config)
        return True
