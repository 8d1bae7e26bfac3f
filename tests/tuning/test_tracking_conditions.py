"""Settings that are searched only where another has a value, in MLflow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tracked_study import empty_database, result, study

from tuning.domains import ChoiceDomain, FloatDomain
from tuning.space_model import Space
from tuning.tracking import StudyRecord, Tracker, read_study

SPACE = Space(
    search={
        "optimizer": ChoiceDomain(type="choice", values=("adamw", "sgd")),
        "weight_decay": FloatDomain(type="float", low=1e-6, high=1e-2, log=True, when={"optimizer": "adamw"}),
        "clip_norm": FloatDomain(type="float", low=0.5, high=4.0, log=True, when={"optimizer": "sgd"}),
        "head_layers": ChoiceDomain(type="choice", values=(1, 2)),
        "head_reduction": ChoiceDomain(type="choice", values=(2, 4), when={"head_layers": 2}),
    },
    fixed={"epochs": 20},
)
CONFIGS = [
    {"optimizer": "adamw", "weight_decay": 1e-3, "clip_norm": None, "head_layers": 1, "head_reduction": 1},
    {"optimizer": "sgd", "weight_decay": 1e-4, "clip_norm": 2.5, "head_layers": 2, "head_reduction": 4},
]


@pytest.fixture
def tracker(tmp_path: Path) -> Tracker:
    """A tracker that was told of one trial for each of ``CONFIGS``."""
    (tmp_path / "mlflow.db").write_bytes(empty_database())
    made = replace(study(tmp_path, name="conditions"), space=SPACE)
    tracker = Tracker(made.tracking_uri, StudyRecord.of(made))
    for number, config in enumerate(CONFIGS):
        assert SPACE.region.faults(config) == []
        tracker.trial_started(f"{number:04d}", config)
        tracker.trial_reported(f"{number:04d}", result(0))
        tracker.trial_ended(f"{number:04d}", "stopped at rung 0")
    tracker.end_study("finished")
    return tracker


def test_what_was_inactive_reads_back_as_the_default_that_it_trained_with(tracker):
    assert [trial.values for trial in read_study(tracker.uri, "conditions").trials] == CONFIGS


def test_a_log_scale_without_a_number_has_no_logarithm(tracker):
    runs = MlflowClient(tracker.uri).search_runs([tracker.experiment_id], "tags.kind = 'trial'")
    logs = [sorted(name for name in run.data.params if name.endswith("_log10")) for run in runs]
    assert sorted(logs) == [["with.clip_norm_log10", "with.weight_decay_log10"], ["with.weight_decay_log10"]]


def test_the_study_says_when_a_setting_is_searched(tracker):
    (run,) = MlflowClient(tracker.uri).search_runs([tracker.experiment_id], "tags.kind = 'study'")
    words = "one of 2, 4; is searched only when head_layers is 2"
    assert words in run.data.params.values()
