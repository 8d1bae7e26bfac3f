"""The one writer of a study's runs in MLflow: a study run, and beside it one flat run a trial, found again by tag."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tuning.tracking.experiment import dataset_input, find_runs, open_experiment, study_run_of
from tuning.tracking.location import absolute, client_of
from tuning.tracking.names import parameters, run_name
from tuning.tracking.points import finite_or_nan, point_metrics
from tuning.tracking.provenance import source_tags
from tuning.tracking.record import StudyRecord

STATUS = {"failed": "FAILED", "interrupted": "KILLED"}
"""MLflow's status by the first word of a trial's reason; every other end is FINISHED."""

METRICS_A_REQUEST = 1000


class Tracker:
    """Writes one study into MLflow through an explicit client; there is no active run and no autologging.

    Everything may be called again with the same values: a run is made once a trial, a point of a curve is written once.
    Nothing is written to runs of another study, even of the same name.

    Args:
        uri: The tracking URI; the database behind a SQLite URI is made here, before any worker could race for it.
        record: The study.
        resume: Whether to go on with the runs of the last study of this name in the experiment.

    Raises:
        TrackingError: If MLflow refuses the experiment; one line.
    """

    def __init__(self, uri: str, record: StudyRecord, *, resume: bool = False) -> None:
        self.uri = absolute(uri)
        self.record = record
        self._client = client_of(self.uri)
        self.experiment_id = open_experiment(self._client, self.uri, record.name, record.storage)
        self._source = source_tags()
        self._study_run = study_run_of(self._client, self.experiment_id) if resume else None
        self._trials: dict[str, _TrialRun] = {}
        if self._study_run is not None:
            found = find_runs(self._client, self.experiment_id, self._study_run)
            self._trials = {run.data.tags["trial_id"]: _TrialRun.found(self._client, run) for run in found}

    @property
    def study_run_id(self) -> str | None:
        """The study's run, once it was started."""
        return self._study_run

    def run_id(self, trial_id: str) -> str:
        """Returns a trial's run."""
        return self._trials[trial_id].run_id

    def start_study(self) -> str:
        """Makes the study's run, or takes over the one there is; returns its id."""
        if self._study_run is None:
            self._study_run = self._create_study_run()
        else:
            self._client.update_run(self._study_run, status="RUNNING")
        return self._study_run

    def trial_started(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """Makes the trial's run with its parameters, or takes over the one there is."""
        run = self._trials.get(trial_id)
        if run is None:
            self._trials[trial_id] = self._create_trial_run(trial_id, config)
        elif run.status != "RUNNING":
            self._client.update_run(run.run_id, status="RUNNING")
            run.status = "RUNNING"

    def trial_reported(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Writes the points of a result's curve that are not there yet, the scalars and the tags, in one request."""
        run = self._trials[trial_id]
        points = [point for point in result.get("curve") or [] if int(point["epoch"]) not in run.steps]
        self._log_points(run, points)
        self._log(run, _scalars(result), _tags(result))

    def trial_retried(self, trial_id: str, error: str) -> None:
        """Notes on the run why the trial had to start again from its checkpoint."""
        self._log(self._trials[trial_id], {}, {"last_error": error})

    def trial_ended(self, trial_id: str, reason: str) -> None:
        """Closes the trial's run: FINISHED if it finished or was stopped, FAILED or KILLED by its reason."""
        run = self._trials[trial_id]
        status = STATUS.get(reason.split(":")[0].split()[0], "FINISHED") if reason else "FINISHED"
        self._log(run, {}, {"status_reason": reason})
        if run.status != status:
            self._client.set_terminated(run.run_id, status=status)
            run.status = status

    def log_scalars(self, trial_id: str, values: Mapping[str, float]) -> None:
        """Writes single numbers of a trial, such as ``final_test_spearman`` and its interval's ends."""
        self._log(self._trials[trial_id], values, {})

    def log_file(self, trial_id: str | None, path: Path, folder: str | None = None) -> None:
        """Keeps a file as an artefact of a trial's run, or of the study's run for ``None``."""
        run = self._study_run if trial_id is None else self.run_id(trial_id)
        self._client.log_artifact(run, str(path), folder)

    def end_study(self, status: str, tags: Mapping[str, str] | None = None) -> None:
        """Closes the study's run, and trials still open as interrupted.

        Args:
            status: ``finished``, ``failed`` or ``interrupted``.
            tags: What the study's run should say, such as the best trial.
        """
        for trial_id in [name for name, run in self._trials.items() if run.status == "RUNNING"]:
            self.trial_ended(trial_id, "interrupted")
        for key, value in {"status_reason": status, **self._counts(), **(tags or {})}.items():
            self._client.set_tag(self._study_run, key, value)
        self._client.set_terminated(self._study_run, status=STATUS.get(status, "FINISHED"))

    def _counts(self) -> dict[str, str]:
        words = [run.tags.get("status_reason", "").split(":")[0].split(" ")[0] for run in self._trials.values()]
        names = ("finished", "stopped", "failed", "interrupted")
        return {"trials": str(len(words)), **{f"trials_{name}": str(words.count(name)) for name in names}}

    def _create_study_run(self) -> str:
        record = self.record
        tags = {"kind": "study", "study": record.name, **self._shared_tags()}
        run = self._client.create_run(self.experiment_id, tags=tags, run_name=f"study {record.name}")
        run_id = str(run.info.run_id)
        searched = {f"search.{name}": words for name, words in record.searched.items()}
        self._log_parameters(run_id, searched | parameters({}, (), {**record.shared, "trials": record.trials}))
        self._client.log_inputs(run_id, [dataset_input(record.data)])
        self._client.log_text(run_id, record.space_text, "space.yaml")
        self._client.log_dict(run_id, dict(record.first), "first.json")
        return run_id

    def _create_trial_run(self, trial_id: str, config: Mapping[str, Any]) -> _TrialRun:
        first = {"first": "true"} if dict(config) == dict(self.record.first) else {}
        tags = {"kind": "trial", "study": self.record.name, "trial_id": trial_id, **self._shared_tags(), **first}
        tags["study_run"] = str(self._study_run)
        name = run_name(config) or trial_id
        run_id = str(self._client.create_run(self.experiment_id, tags=tags, run_name=name).info.run_id)
        self._log_parameters(run_id, parameters(config, self.record.log_scaled, self.record.shared))
        self._client.log_inputs(run_id, [dataset_input(self.record.data)])
        return _TrialRun(run_id)

    def _shared_tags(self) -> dict[str, str]:
        record = self.record
        return {
            **self._source,
            "seed": str(record.seed),
            "data_digest": record.data.digest,
            "space_digest": record.space_digest,
        }

    def _log_parameters(self, run_id: str, values: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        params = [Param(key, value) for key, value in values.items()]
        for start in range(0, len(params), 100):  # MLflow's limit a request
            self._client.log_batch(run_id, params=params[start : start + 100], synchronous=True)

    def _log_points(self, run: _TrialRun, points: Sequence[Mapping[str, Any]]) -> None:
        """Writes whole points, as many as fit into a request, so that a point is there entirely or not at all."""
        from mlflow.entities import Metric

        now, batch = _now(), []
        for point in points:
            step = int(point["epoch"])
            metrics = [Metric(key, value, now, step) for key, value in point_metrics(point).items()]
            if len(batch) + len(metrics) > METRICS_A_REQUEST:
                self._client.log_batch(run.run_id, metrics=batch, synchronous=True)
                batch = []
            batch += metrics
            run.steps.add(step)
        if batch:
            self._client.log_batch(run.run_id, metrics=batch, synchronous=True)

    def _log(self, run: _TrialRun, scalars: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Writes the scalars and tags that differ from what the run already says."""
        from mlflow.entities import Metric, RunTag

        new_scalars = {
            k: finite_or_nan(v) for k, v in scalars.items() if not same(run.scalars.get(k), finite_or_nan(v))
        }
        new_tags = {key: value for key, value in tags.items() if run.tags.get(key) != value}
        if not new_scalars and not new_tags:
            return
        now = _now()
        self._client.log_batch(
            run.run_id,
            metrics=[Metric(key, value, now, 0) for key, value in new_scalars.items()],
            tags=[RunTag(key, value) for key, value in new_tags.items()],
            synchronous=True,
        )
        run.scalars |= new_scalars
        run.tags |= new_tags


class _TrialRun:
    """What is known to be written on one trial's run."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.status = "RUNNING"
        self.steps: set[int] = set()
        self.scalars: dict[str, float] = {}
        self.tags: dict[str, str] = {}

    @classmethod
    def found(cls, client: Any, run: Any) -> _TrialRun:
        """Returns the state of a run that an earlier process wrote."""
        trial = cls(str(run.info.run_id))
        trial.status = str(run.info.status)
        trial.steps = {int(metric.step) for metric in client.get_metric_history(trial.run_id, "val_spearman")}
        trial.scalars, trial.tags = dict(run.data.metrics), dict(run.data.tags)
        return trial


def same(old: float | None, new: float) -> bool:
    """Tells whether a number is already there; NaN equals NaN."""
    return old is not None and (old == new or (math.isnan(old) and math.isnan(new)))


def _scalars(result: Mapping[str, Any]) -> dict[str, float]:
    """Returns the numbers of a trial as a whole, as of a result."""
    names = {
        "best_val_spearman": "best_val_spearman",
        "val_spearman": "objective",
        "epoch": "epochs_trained",
        "train_seconds": "train_seconds",
        "parameters": "parameters",
    }
    between_rungs = {"objective"} if result.get("rung", 0) < 0 else set()
    return {
        to: float(result[key]) for key, to in names.items() if result.get(key) is not None and to not in between_rungs
    }


def _tags(result: Mapping[str, Any]) -> dict[str, str]:
    """Returns what a result says in words."""
    tags = {
        key: str(result[key]) for key in ("device", "attempt", "branches_trained", "branches_loaded") if key in result
    }
    if result.get("rung", -1) >= 0:
        tags["rung"] = str(result["rung"])
    return tags


def _now() -> int:
    return int(time.time() * 1000)
