"""From Ray Tune to the tracker and the console: a real study of trials that only count."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
import tracked_study
from mlflow import MlflowClient
from ray import tune
from tracked_study import config, result, tracked

from tuning.console import Console
from tuning.events import TuneEvents, error_of, listening
from tuning.search import GuardedASHA
from tuning.tracking import read_study


@pytest.fixture(scope="module", autouse=True)
def _cluster():
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    for module in (sys.modules[__name__], tracked_study):
        ray.cloudpickle.register_pickle_by_value(module)  # workers cannot import tests
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def counting(settings):
    """A trial whose score is known: configuration n ends with the n-th peak; number 3 raises once and 4 always."""
    number = settings["fusion_nets"] % 10
    marker = Path(settings["marks"]) / tune.get_context().get_trial_id()
    for rung in range(3):
        if number == 3 and not marker.exists():
            marker.touch()
            raise OSError("disk full")
        if number == 4:
            raise ValueError("the trial's own message")
        tune.report(result(rung, peak=0.9 - 0.05 * number))


class Told:
    """Notes what it is told."""

    def __init__(self):
        self.events = []

    def trial_started(self, trial_id, settings):
        self.events.append(("started", settings["fusion_nets"]))

    def trial_reported(self, trial_id, told):
        self.events.append(("reported", told["rung"]))

    def trial_retried(self, trial_id, error):
        self.events.append(("retried", error))

    def trial_ended(self, trial_id, reason):
        self.events.append(("ended", reason))


@pytest.mark.slow
def test_tune_drives_the_tracker_and_the_console(tmp_path, capsys):
    tracker, told = tracked(tmp_path), Told()
    scheduler = GuardedASHA(reduction=3)
    marks = tmp_path / "marks"
    marks.mkdir()
    tuner = tune.Tuner(
        counting,
        param_space={**config(0), "fusion_nets": tune.grid_search([10, 3, 4, 5]), "marks": str(marks)},
        tune_config=tune.TuneConfig(metric="val_spearman", mode="max", scheduler=scheduler, max_concurrent_trials=1),
        run_config=tune.RunConfig(
            name="small",
            storage_path=str(tmp_path / "studies"),
            verbose=0,
            callbacks=[TuneEvents(scheduler.reason)],
            failure_config=tune.FailureConfig(max_failures=1),
        ),
    )
    with listening(tracker, Console("small", ["fusion_nets"], 4), told):
        tuner.fit()
    trials = {trial.values["fusion_nets"]: trial for trial in read_study(tracker.uri, "small").trials}
    assert trials[10].reason == "finished"
    assert trials[3].reason.startswith("stopped at rung")
    assert trials[4].reason.startswith("failed: ")
    assert trials[4].reason.endswith("ValueError: the trial's own message")
    assert trials[5].reason == "stopped at rung 0"
    assert [epoch for epoch, _ in trials[10].curve] == list(range(1, 19))
    runs = MlflowClient(tracker.uri).search_runs([tracker.experiment_id], "tags.kind = 'trial'")
    assert sorted(run.info.status for run in runs) == ["FAILED", "FINISHED", "FINISHED", "FINISHED"]
    assert len([event for event in told.events if event[0] == "retried"]) >= 1
    assert "finished; " in capsys.readouterr().out


@pytest.mark.slow
def test_a_restored_study_tells_of_trials_that_had_ended(tmp_path):
    scheduler = GuardedASHA(reduction=3)
    tuner = tune.Tuner(
        counting,
        param_space={**config(0), "fusion_nets": tune.grid_search([10, 5]), "marks": str(tmp_path)},
        tune_config=tune.TuneConfig(metric="val_spearman", mode="max", scheduler=scheduler, max_concurrent_trials=1),
        run_config=tune.RunConfig(
            name="small", storage_path=str(tmp_path / "studies"), verbose=0, callbacks=[TuneEvents(scheduler.reason)]
        ),
    )
    tuner.fit()
    told = Told()
    with listening(told):
        tune.Tuner.restore(str(tmp_path / "studies" / "small"), trainable=counting).fit()
    assert [event for event in told.events if event[0] != "reported"] == [
        ("started", 10),
        ("ended", "finished"),
        ("started", 5),
        ("ended", "stopped at rung 0"),
    ]


def test_an_error_is_told_by_its_own_line(tmp_path):
    file = tmp_path / "error.txt"
    file.write_text("Failure # 1\nTraceback (most recent call last):\n  File x\nKeyError: 'rgb'\n\n")
    assert error_of(SimpleNamespace(error_file=str(file))) == "KeyError: 'rgb'"


def test_an_error_that_left_no_file_is_told_as_such(tmp_path):
    assert error_of(SimpleNamespace(error_file=None)) == "no reason was recorded"
