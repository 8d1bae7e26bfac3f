"""What MLflow holds of a study, read back as plain values: all that a report or a summary is made of."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning.domains import ChoiceDomain
from tuning.score_metric import ScoreMetric, metric_of
from tuning.space_model import Space
from tuning.tracking.experiment import find_runs, newest_study_run
from tuning.tracking.location import TrackingError, absolute, client_of
from tuning.tracking.names import SHARED, text
from tuning.tracking.space_text import space_of
from tuning.tracking.told import ToldClient

FINAL_FILE = "final.json"


@dataclass(frozen=True)
class TrialResult:
    """One trial as its run tells it.

    Args:
        trial_id: Tune's id.
        name: The run's name.
        run_id: MLflow's id.
        values: The searched settings.
        reason: Why it ended; empty while it runs.
        first: Whether it is the study's first trial, the paper's configuration.
        rung: The last completed rung; -1 if there is none.
        score: ``val_spearman`` at that rung, the trial's objective; NaN if there is none.
        best: The best score of any epoch, for display.
        epochs: Epochs trained.
        seconds: Seconds trained.
        curve: Points (epoch, ``val_spearman``).
        folds: The last score of every task and fold, by metric.
        scalars: All other single numbers, such as ``final_test_spearman``.
    """

    trial_id: str
    name: str
    run_id: str
    values: Mapping[str, Any]
    reason: str
    first: bool
    rung: int
    score: float
    best: float
    epochs: int
    seconds: float
    curve: Sequence[tuple[int, float]]
    folds: Mapping[str, float]
    scalars: Mapping[str, float]

    @property
    def finished(self) -> bool:
        """Whether the trial ran its full budget."""
        return self.reason == "finished"


@dataclass(frozen=True)
class StudyResults:
    """One study as its runs tell it.

    Args:
        name: Name of the study.
        uri: The tracking URI.
        experiment_id: MLflow's id of its experiment.
        study_run_id: MLflow's id of the study's run.
        space: The space it was launched with.
        tags: The tags of the study's run.
        trials: The trials in the order in which they started.
        final: What the final stage found on the test split, as ``final.json`` holds it; None while it is closed.
        modalities: The streams that its trials had, in the data's order.
    """

    name: str
    uri: str
    experiment_id: str
    study_run_id: str
    space: Space
    tags: Mapping[str, str]
    trials: tuple[TrialResult, ...]
    final: Mapping[str, Any] | None = None
    modalities: tuple[str, ...] = ()

    @property
    def metric(self) -> ScoreMetric:
        """What its networks are judged by."""
        return metric_of(self.space)

    def ranked(self) -> tuple[TrialResult, ...]:
        """Returns the trials that have a score, best first.

        A trial that came further goes before one that was stopped, whatever their scores: a score is the objective only
        at the end of the budget, and ASHA stopped the others because of theirs.
        """
        scored = [
            trial for trial in self.trials if math.isfinite(trial.score) and not trial.reason.startswith("failed")
        ]
        return tuple(sorted(scored, key=lambda trial: (trial.finished, trial.rung, trial.score), reverse=True))


def read_study(uri: str, name: str) -> StudyResults:
    """Returns the newest study of a name.

    Raises:
        TrackingError: If MLflow has no such study; one line.
    """
    client = ToldClient(client_of(uri), uri)
    experiment = client.get_experiment_by_name(name)
    run = newest_study_run(client, experiment.experiment_id) if experiment else None
    if run is None:
        known = sorted(found.name for found in client.search_experiments() if found.name != "Default")
        names = f"it has {', '.join(known)}" if known else "it has none"
        raise TrackingError(f"study {name!r}: not in {uri}; {names}")
    space = space_of(client, run.info.run_id)
    runs = find_runs(client, experiment.experiment_id, run.info.run_id)
    return StudyResults(
        name=name,
        uri=absolute(uri),
        experiment_id=str(experiment.experiment_id),
        study_run_id=str(run.info.run_id),
        space=space,
        tags=dict(run.data.tags),
        trials=tuple(_trial(client, found, space) for found in runs),
        final=_final(client, run.info.run_id),
        modalities=tuple(filter(None, run.data.params.get(f"{SHARED}modalities", "").split("+"))),
    )


def _final(client: Any, study_run: str) -> Mapping[str, Any] | None:
    if FINAL_FILE not in {file.path for file in client.list_artifacts(study_run)}:
        return None
    with tempfile.TemporaryDirectory() as folder:
        content = Path(client.download_artifacts(study_run, FINAL_FILE, folder)).read_text(encoding="utf-8")
    final: Mapping[str, Any] = json.loads(content)
    return final


def _trial(client: Any, run: Any, space: Space) -> TrialResult:
    metrics, tags, judged = dict(run.data.metrics), dict(run.data.tags), metric_of(space)
    history = client.get_metric_history(run.info.run_id, judged.held_out) if judged.held_out in metrics else []
    named = {"objective", judged.best, "epochs_trained", "train_seconds", "train_loss", "constant_replicas"}
    return TrialResult(
        trial_id=tags["trial_id"],
        name=str(run.info.run_name),
        run_id=str(run.info.run_id),
        values={key: _value(space, key, run.data.params[key]) for key in space.search if key in run.data.params},
        reason=tags.get("status_reason", ""),
        first=tags.get("first") == "true",
        rung=int(tags.get("rung", -1)),
        score=metrics.get("objective", math.nan),
        best=metrics.get(judged.best, math.nan),
        epochs=int(metrics.get("epochs_trained", 0)),
        seconds=metrics.get("train_seconds", 0.0),
        curve=tuple(sorted((int(point.step), float(point.value)) for point in history)),
        folds=_folds(metrics, judged),
        scalars={k: v for k, v in metrics.items() if k not in named and not k.startswith(judged.held_out)},
    )


def _folds(metrics: Mapping[str, float], judged: ScoreMetric) -> dict[str, float]:
    """Returns the scores of the folds by the names that people read, with dots where MLflow has slashes."""
    dotted = {key.replace("/", "."): value for key, value in metrics.items()}
    return {key: value for key, value in dotted.items() if judged.fold_in(key)}


def _value(space: Space, name: str, written: str) -> Any:
    """Returns a searched setting's value from its parameter's text."""
    domain, inactive = space.search[name], space.preset_value(name)
    if domain.when and text(inactive) == written:
        return inactive
    if isinstance(domain, ChoiceDomain):
        return next(value for value in domain.values if text(value) == written)
    return json.loads(written)
