"""The one writer of a study's runs in MLflow: a study run, and beside it one flat run a trial, found again by tag."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tuning.score_metric import ScoreMetric
from tuning.search.folds import fold_scores, waits_for_folds
from tuning.storage.kept import kept_at
from tuning.tracking.checkpoints import models_of
from tuning.tracking.delivery import PATIENCE, Account, Delivery
from tuning.tracking.experiment import newest_study_run, open_experiment
from tuning.tracking.location import absolute, alone, client_of
from tuning.tracking.names import legal, parameters, run_name
from tuning.tracking.outbox import Outbox
from tuning.tracking.provenance import source_tags
from tuning.tracking.record import StudyRecord
from tuning.tracking.runs import STUDY, StudyRuns, shared_tags
from tuning.tracking.space_text import FILE
from tuning.tracking.told import ToldClient

REQUESTS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
"""How long MLflow's client insists; the delivery tries again by itself, for as long as it takes."""


class Measured(Protocol):
    """What can be said in metrics; the pace of an engine can."""

    def metrics(self) -> dict[str, float]:
        """Returns numbers under the names that MLflow is to have them by."""
        ...


class Tracker:
    """Writes one study into MLflow, without an active run and without autologging, and never waits for it.

    It belongs into the driver: one process writes. What is told is put into the study's outbox and delivered by a
    thread, so that a server may go away for a while, or for good. Every method may be called again with the same values
    and then changes nothing, so a resumed study may repeat itself; what an earlier launch left in the outbox is
    delivered first. Runs of an older study of the same name are left alone.

    Args:
        uri: The tracking URI; the database behind a SQLite URI is made here, before any worker could race for it.
        record: The study.
        resume: Whether to go on with the runs of the newest study of this name.
        note: Tells people a line about the delivery.

    Raises:
        TrackingError: If MLflow cannot be reached, or refuses the experiment; one line. Its methods raise none.
    """

    def __init__(
        self, uri: str, record: StudyRecord, *, resume: bool = False, note: Callable[[str], None] = lambda _: None
    ) -> None:
        self.uri, self.record = absolute(uri), record
        for name, value in REQUESTS.items():
            os.environ.setdefault(name, value)
        with alone(self.uri):
            client = client_of(self.uri)
            self.experiment_id = open_experiment(client, self.uri, record.name, record.storage)
        told = ToldClient(client, self.uri)
        self._shared = shared_tags(record, source_tags())
        former = newest_study_run(told, self.experiment_id) if resume else None
        tags = {"kind": "study", **self._shared}
        study = former or told.create_run(self.experiment_id, tags=tags, run_name=f"study {record.name}")
        self.study_run_id = str(study.info.run_id)
        kept = kept_at(record.storage)
        self._outbox = Outbox(kept.folder, kept=kept)
        if self._outbox.pending:
            note(f"{self._outbox.pending} writes of an earlier launch are delivered to MLflow first")
        self._runs = StudyRuns(told, self.experiment_id, record, study, resumed=former is not None)
        self._delivery = Delivery(self._outbox, self._runs, note)
        searched = {f"search.{name}": words for name, words in record.searched.items()}
        about = searched | parameters({}, (), {**record.shared, "trials": record.trials})
        self._send(STUDY, "open", parameters=about, texts={FILE: record.space_text})

    def run_id(self, trial_id: str) -> str:
        """Returns a trial's run, once MLflow has it.

        Raises:
            KeyError: If the trial has not started.
        """
        self.settle()
        return self._runs.run_ids()[trial_id]

    @property
    def due(self) -> int:
        """How many writes MLflow has not got yet."""
        return self._outbox.pending

    def settle(self, patience: float = PATIENCE) -> Account:
        """Returns when MLflow has everything it was told, or has been away for some seconds."""
        return self._delivery.wait(patience)

    def trial_started(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """Makes the trial's run with its parameters, or takes over the one there is."""
        self._send(
            trial_id,
            "begin",
            name=run_name(config) or trial_id,
            tags=self._shared | ({"first": "true"} if dict(config) == dict(self.record.first) else {}),
            searched=parameters(config, ()),
            parameters=parameters(config, self.record.log_scaled, self.record.shared),
        )

    def trial_reported(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Writes a result of Tune: the new points of its curve, and the trial as of now in numbers and tags."""
        scalars, curve = _scalars(result, self.record.metric), result.get("curve") or []
        usage = result.get("usage") or {}
        moment = {f"system/trial_{name}": value for name, value in usage.get("values", {}).items()}
        measured = {"moment": moment, "moment_at": usage["at"]} if moment else {}
        self._send(trial_id, "write", scalars=scalars, tags=_tags(result), curve=curve, **measured)

    def trial_waits(self, trial_id: str, rung: int) -> None:
        """Notes where the trial waits, in the tag ``waits``."""
        self._send(trial_id, "write", tags={"waits": f"at rung {rung}"})

    def trial_retried(self, trial_id: str, error: str) -> None:
        """Notes why the trial has to start again from its checkpoint."""
        self._send(trial_id, "write", tags={"last_error": error})

    def trial_ended(self, trial_id: str, reason: str) -> None:
        """Closes the trial's run: FINISHED if it finished, was stopped or paused, FAILED or KILLED by its reason."""
        self._send(trial_id, "close", reason=reason)

    def devices_started(self, numerics: Mapping[str, str]) -> None:
        """Notes on the study's run what its numbers depend on beside the settings."""
        self._send(STUDY, "write", tags={f"numerics.{name}": value for name, value in numerics.items()})

    def devices_worked(self, paces: Sequence[Measured]) -> None:
        """Writes what the devices do as system metrics of the study's run."""
        self._send(STUDY, "write", moment={name: value for pace in paces for name, value in pace.metrics().items()})

    def log_scalars(self, trial_id: str, values: Mapping[str, float]) -> None:
        """Writes single numbers of a trial, such as ``final_test_spearman`` and its interval's ends."""
        self._send(trial_id, "write", scalars=dict(values))

    def log_file(self, trial_id: str | None, path: Path, folder: str | None = None) -> None:
        """Keeps a file as an artefact of a trial's run, or of the study's run for ``None``; it may be removed then."""
        self._send(STUDY if trial_id is None else trial_id, "upload", file=self._outbox.keep(path), folder=folder)

    def log_model(self, trial_id: str, name: str, folder: Path, metrics: Mapping[str, float]) -> None:
        """Keeps a trial's weights as a logged model, linked to its run and to the data set.

        Args:
            trial_id: The trial.
            name: The model's name, such as ``rg-top1``.
            folder: What the model is made of: safetensors and JSON files, which stay where they are.
            metrics: Numbers of the model, such as ``objective``.
        """
        self._send(trial_id, "model", model=name, **{"from": str(folder.absolute())}, about=dict(metrics))

    def log_checkpoint(self, trial_id: str, folder: Path) -> None:
        """Keeps the weights of a trial's checkpoint, the best and the last ones, as logged models; they may go then."""
        for one in models_of(folder, self.record.metric):
            kept, about = self._outbox.keep(*one.files), {"about": dict(one.metrics), "step": one.epoch}
            named = {"model": f"trial-{trial_id}-{one.which}", "from": str(Path(kept).parent), "file": kept}
            self._send(trial_id, "model", **named, **about)

    def end_study(self, status: str, tags: Mapping[str, str] | None = None, *, patience: float = PATIENCE) -> Account:
        """Closes the study's run, and the runs of trials that are still open as interrupted; waits for the delivery.

        Args:
            status: ``finished``, ``failed`` or ``interrupted``.
            tags: What else the study's run should say, such as the best trial.
            patience: Seconds for which MLflow may be away before the wait is given up.

        Returns:
            What was delivered, and what stays in the outbox for the next launch.
        """
        self._send(STUDY, "end", reason=status, tags=dict(tags or {}))
        account = self.settle(patience)
        self._outbox.close()
        return account

    def _send(self, trial_id: str, what: str, **content: Any) -> None:
        self._outbox.append({"to": trial_id, "do": what, **content}, urgent=what != "write")
        self._delivery.tell()


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
