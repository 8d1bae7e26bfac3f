"""The one writer of a study's runs in MLflow: a study run, and beside it one flat run a trial, found again by tag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tuning.score_metric import ScoreMetric
from tuning.search.folds import fold_scores, waits_for_folds
from tuning.tracking.experiment import find_runs, newest_study_run, open_experiment
from tuning.tracking.location import absolute, alone, client_of
from tuning.tracking.models import log_model
from tuning.tracking.names import legal, parameters, run_name
from tuning.tracking.provenance import source_tags
from tuning.tracking.record import StudyRecord
from tuning.tracking.run import RunWriter
from tuning.tracking.space_text import FILE
from tuning.tracking.told import ToldClient

ENDINGS = ("finished", "stopped", "paused", "failed", "interrupted", "ended")
"""First words of the reasons why a trial ends; the last is a trial that ran when the study's budget was spent."""


class Measured(Protocol):
    """What can be said in metrics; the pace of an engine can."""

    def metrics(self) -> dict[str, float]:
        """Returns numbers under the names that MLflow is to have them by."""
        ...


STATUS = {"failed": "FAILED", "interrupted": "KILLED"}
"""MLflow's status by the first word of a reason; every other end is FINISHED."""


class Tracker:
    """Writes one study into MLflow through an explicit client; there is no active run and no autologging.

    It belongs into the driver: one process writes. Every method may be called again with the same values and then
    changes nothing, so a resumed study may repeat itself. Runs of an older study of the same name are left alone.

    Args:
        uri: The tracking URI; the database behind a SQLite URI is made here, before any worker could race for it.
        record: The study.
        resume: Whether to go on with the runs of the newest study of this name.

    Raises:
        TrackingError: If MLflow refuses the experiment, or from any method later, if it cannot write; one line.
    """

    def __init__(self, uri: str, record: StudyRecord, *, resume: bool = False) -> None:
        self.uri = absolute(uri)
        self.record = record
        with alone(self.uri):
            client = client_of(self.uri)
            self.experiment_id = open_experiment(client, self.uri, record.name, record.storage)
        self._client: Any = ToldClient(client, self.uri)
        self._source = source_tags()
        former = newest_study_run(self._client, self.experiment_id) if resume else None
        self._study = self._writer(former or self._create({"kind": "study"}, f"study {record.name}"))
        runs = find_runs(self._client, self.experiment_id, self._study.run_id) if former else []
        self._trials = {run.data.tags["trial_id"]: self._writer(run) for run in runs}
        self._open()

    @property
    def study_run_id(self) -> str:
        """The study's run."""
        return self._study.run_id

    def run_id(self, trial_id: str) -> str:
        """Returns a trial's run.

        Raises:
            KeyError: If the trial has not started.
        """
        return self._trials[trial_id].run_id

    def trial_started(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """Makes the trial's run with its parameters, or takes over the one there is.

        A run of other parameters is not the trial's: its study was resumed from a journal that had lost its end, and
        the search went another way from there. Such a run is left to itself, tagged as ``superseded``.
        """
        former = self._trials.get(trial_id)
        if former is not None and former.contradicts(parameters(config, ())):
            former.update({}, {"kind": "superseded", "status_reason": "superseded: its id went to another trial"})
            former.close(STATUS["interrupted"])
            del self._trials[trial_id]
        if trial_id not in self._trials:
            tags = {"kind": "trial", "trial_id": trial_id, "study_run": self._study.run_id}
            tags |= {"first": "true"} if dict(config) == dict(self.record.first) else {}
            run = self._create(tags, run_name(config) or trial_id)
            self._trials[trial_id] = self._writer(run)
        run = self._trials[trial_id]
        run.describe(parameters(config, self.record.log_scaled, self.record.shared), self.record.data)
        run.update({}, {"waits": ""} if run.tags.get("waits") else {})
        if run.status == STATUS["interrupted"]:  # any other end is for good; a resumed study tells of it once more
            run.reopen()

    def trial_reported(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Writes a result of Tune: the new points of its curve, and the trial as of now in numbers and tags."""
        run, scalars = self._trials[trial_id], _scalars(result, self.record.metric)
        run.update(scalars, _tags(result))  # first: the compare page preselects the metric written first
        run.add_points(result.get("curve") or [])

    def trial_waits(self, trial_id: str, rung: int) -> None:
        """Notes where the trial waits, in the tag ``waits``."""
        self._trials[trial_id].update({}, {"waits": f"at rung {rung}"})

    def trial_retried(self, trial_id: str, error: str) -> None:
        """Notes why the trial has to start again from its checkpoint."""
        self._trials[trial_id].update({}, {"last_error": error})

    def trial_ended(self, trial_id: str, reason: str) -> None:
        """Closes the trial's run: FINISHED if it finished, was stopped or paused, FAILED or KILLED by its reason."""
        run = self._trials[trial_id]
        run.update({}, {"status_reason": reason})
        run.close(STATUS.get(first_word(reason), "FINISHED"))

    def devices_started(self, numerics: Mapping[str, str]) -> None:
        """Notes on the study's run what its numbers depend on beside the settings."""
        self._study.update({}, {f"numerics.{name}": value for name, value in numerics.items()})

    def devices_worked(self, paces: Sequence[Measured]) -> None:
        """Writes what the devices do as system metrics of the study's run."""
        self._study.add_moment({name: value for pace in paces for name, value in pace.metrics().items()})

    def log_scalars(self, trial_id: str, values: Mapping[str, float]) -> None:
        """Writes single numbers of a trial, such as ``final_test_spearman`` and its interval's ends."""
        self._trials[trial_id].update(values, {})

    def log_file(self, trial_id: str | None, path: Path, folder: str | None = None) -> None:
        """Keeps a file as an artefact of a trial's run, or of the study's run for ``None``."""
        run_id = self._study.run_id if trial_id is None else self.run_id(trial_id)
        self._client.log_artifact(run_id, str(path), folder)

    def log_model(self, trial_id: str, name: str, folder: Path, metrics: Mapping[str, float]) -> str:
        """Keeps a trial's weights as a logged model, linked to its run and to the data set; returns the model's id.

        Args:
            trial_id: The trial.
            name: The model's name, such as ``rg-top1``.
            folder: What the model is made of: safetensors and JSON files.
            metrics: Numbers of the model, such as ``objective``.
        """
        return log_model(self._client, self.experiment_id, self._trials[trial_id], name, folder, metrics, self.record)

    def end_study(self, status: str, tags: Mapping[str, str] | None = None) -> None:
        """Closes the study's run, and the runs of trials that are still open as interrupted.

        Args:
            status: ``finished``, ``failed`` or ``interrupted``.
            tags: What else the study's run should say, such as the best trial.
        """
        for trial_id in [name for name, run in self._trials.items() if run.status == "RUNNING"]:
            self.trial_ended(trial_id, "interrupted")
        self._study.update({}, {"status_reason": status, **self._counts(), **(tags or {})})
        self._study.close(STATUS.get(status, "FINISHED"))

    def _writer(self, run: Any) -> RunWriter:
        return RunWriter(self._client, run, self.record.metric)

    def _create(self, tags: Mapping[str, str], name: str) -> Any:
        record = self.record
        shared = {"study": record.name, "seed": str(record.seed), "space_digest": record.space_digest}
        shared |= {"data_digest": record.data.digest, **self._source}
        return self._client.create_run(self.experiment_id, tags={**shared, **tags}, run_name=name)

    def _open(self) -> None:
        """Writes what the study's run says from the start."""
        record = self.record
        searched = {f"search.{name}": words for name, words in record.searched.items()}
        self._study.reopen()
        self._study.describe(searched | parameters({}, (), {**record.shared, "trials": record.trials}), record.data)
        self._client.log_text(self._study.run_id, record.space_text, FILE)

    def _counts(self) -> dict[str, str]:
        words = [first_word(run.tags.get("status_reason", "")) for run in self._trials.values()]
        return {"trials": str(len(words)), **{f"trials_{word}": str(words.count(word)) for word in ENDINGS}}


def first_word(reason: str) -> str:
    """Returns what a reason begins with: ``stopped`` of ``stopped at rung 2``, ``failed`` of ``failed: why``."""
    return reason.replace(":", " ").split(" ")[0]


def _scalars(result: Mapping[str, Any], metric: ScoreMetric) -> dict[str, float]:
    """Returns a trial as of now in numbers.

    ``objective`` is the score at the last completed rung, ``first_folds_spearman`` that of the folds which went ahead,
    ``branch_spearman.rgb`` that of a pretrained branch alone on the same folds.
    """
    keys = {"best_val_spearman": metric.best, "epoch": "epochs_trained"}
    keys |= {"train_seconds": "train_seconds", "parameters": "weight_count"}
    if result.get("rung", -1) >= 0:
        keys["val_spearman"] = "objective"
    scalars = {name: float(result[key]) for key, name in keys.items() if result.get(key) is not None}
    if waits_for_folds(result):
        scalars[metric.first_folds] = metric.average(fold_scores(result))
    branches = result.get("branch_val_spearman") or {}
    return scalars | {legal(f"{metric.branch}{modality}"): float(score) for modality, score in branches.items()}


def _tags(result: Mapping[str, Any]) -> dict[str, str]:
    """Returns a trial as of now in words."""
    keys = ["device", "attempt", "branches_trained", "branches_loaded"]
    keys += ["rung"] if result.get("rung", -1) >= 0 else []
    return {key: str(result[key]) for key in keys if result.get(key) is not None}
