"""Requests that MLflow carried out without saying so, and letters that are delivered twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE
from tracked_study import config, point, result, run_trials, tracked

from tuning.tracking import delivery, read_study
from tuning.tracking.outbox import FILE, MARK


def everything(tracker) -> dict:
    """What MLflow holds of a study: every run with its metrics' histories."""
    client = MlflowClient(tracker.uri)
    runs = client.search_runs([tracker.experiment_id], max_results=1000)
    return {
        run.info.run_id: {
            "status": (run.info.status, run.info.start_time, run.info.end_time),
            "data": run.data.to_dictionary(),
            "points": {
                name: sorted(
                    (p.step, p.timestamp, str(p.value)) for p in client.get_metric_history(run.info.run_id, name)
                )
                for name in run.data.metrics
            },
        }
        for run in runs
    }


def tell(tracker, folder: Path) -> None:
    """Tells of three trials, of a file and of a model."""
    run_trials(tracker, 3)
    model = folder / "model"
    model.mkdir(exist_ok=True)
    (model / "weights.safetensors").write_bytes(b"weights")
    tracker.log_file("t0", model / "weights.safetensors", "checkpoint")
    tracker.log_model("t0", "small-top1", model, {"objective": 0.5})


@pytest.mark.parametrize(
    "method",
    ["create_run", "log_batch", "log_inputs", "set_terminated", "log_artifact", "create_logged_model", "log_outputs"],
)
def test_what_was_done_though_nobody_said_so_is_there_once(method, tmp_path, monkeypatch):
    """Every other request is carried out, and then seems to have failed."""
    monkeypatch.setattr(delivery, "PAUSES", (0.01,))
    tracker = tracked(tmp_path)
    tracker.settle()
    whole, calls = getattr(MlflowClient, method), []

    def unheard(self, *arguments, **named):
        answer = whole(self, *arguments, **named)
        calls.append(method)
        if len(calls) % 2:
            raise MlflowException("the connection was lost", error_code=TEMPORARILY_UNAVAILABLE)
        return answer

    monkeypatch.setattr(MlflowClient, method, unheard)
    tell(tracker, tmp_path)
    account = tracker.end_study("finished")
    monkeypatch.undo()
    assert len(calls) > 1
    assert (account.due, account.refused) == (0, 0)
    results = read_study(tracker.uri, "small")
    assert [(trial.trial_id, trial.reason) for trial in results.trials] == [
        ("t0", "finished"),
        ("t1", "failed: diverged: total/fold1/seed0"),
        ("t2", "stopped at rung 0"),
    ]
    assert [epoch for epoch, _ in results.trials[0].curve] == list(range(1, 19))
    models = MlflowClient(tracker.uri).search_logged_models([tracker.experiment_id])
    assert [model.status for model in models] == ["READY"]


def test_letters_delivered_twice_are_what_they_were(tmp_path):
    """As after a kill of the driver between a delivery and the mark that it leaves."""
    first = tracked(tmp_path)
    study = tmp_path / "studies" / "small"
    tell(first, tmp_path)
    first.settle()
    first._outbox.settle()
    shutil.copy(study / FILE, tmp_path / "letters")
    first.end_study("finished")
    assert not (study / MARK).exists()
    once = everything(first)
    for _ in range(2):
        shutil.copy(tmp_path / "letters", study / FILE)
        again = tracked(tmp_path, resume=True)
        again.end_study("finished")
        twice = everything(again)
        assert once.keys() == twice.keys()
        for run, held in once.items():
            curves = {name: points for name, points in held["points"].items() if len(points) > 1}
            assert {name: twice[run]["points"][name] for name in curves} == curves
            assert (twice[run]["data"], twice[run]["status"][0]) == (held["data"], held["status"][0])


def test_what_an_earlier_launch_left_is_delivered_before_anything_else(tmp_path, monkeypatch):
    first = tracked(tmp_path)
    first.settle()
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", _away)
        first.trial_started("t0", config(0))
        first.trial_reported("t0", result(0))
        assert first.end_study("interrupted", patience=0.1).due == 3
        said = []
        # Another process would have let go of its letters; here a thread still tries to deliver them.
        monkeypatch.setattr(first._delivery._carrier, "carry_out", lambda *_: None)
    second = tracked(tmp_path, resume=True, note=said.append)
    second.trial_started("t0", config(0))
    second.trial_reported("t0", result(1, curve=[point(epoch, 0.5) for epoch in range(1, 7)]))
    second.trial_ended("t0", "finished")
    assert second.end_study("finished").due == 0
    (trial,) = read_study(second.uri, "small").trials
    assert [epoch for epoch, _ in trial.curve] == list(range(1, 7))
    assert trial.curve[0][1] == pytest.approx(result(0)["curve"][0]["val_spearman"])
    assert (trial.reason, said) == ("finished", ["3 writes of an earlier launch are delivered to MLflow first"])


def _away(*_arguments, **_named):
    raise MlflowException("no answer", error_code=TEMPORARILY_UNAVAILABLE)
