"""The same tracker against a real MLflow server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import pytest
from tracked_study import RUNGS, config, run_trials, study

from tuning.tracking import StudyRecord, Tracker, check_tracking, read_study


@pytest.fixture
def server(tmp_path):
    """The address of an MLflow server on an own database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    database = f"sqlite:///{tmp_path}/server.db"
    command = ["mlflow", "server", "--backend-store-uri", database, "--artifacts-destination", str(tmp_path / "kept")]
    process = subprocess.Popen(
        [sys.executable, "-m", *command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    uri = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 120
    while check_tracking(uri) and time.monotonic() < deadline:
        time.sleep(0.5)
    yield uri
    process.terminate()
    process.wait()


@pytest.mark.slow
def test_a_study_on_a_server_reads_back_as_it_was_told(server, tmp_path, capsys):
    made = study(tmp_path)
    tracker = Tracker(server, StudyRecord.of(made))
    run_trials(tracker, 4)
    weights = tmp_path / "model" / "weights.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    tracker.log_model("t3", "small-top1", weights.parent, {"objective": 0.5})
    tracker.settle()
    resumed = Tracker(server, StudyRecord.of(made), resume=True)
    resumed.trial_started("t0", config(0))
    resumed.trial_ended("t0", "finished")
    resumed.end_study("finished")
    trials = read_study(server, "small").trials
    assert [dict(trial.values) for trial in trials] == [config(number) for number in range(4)]
    assert [epoch for epoch, _ in trials[3].curve] == list(range(1, RUNGS[-1] + 1))
    assert [path.read_bytes() for path in (tmp_path / "kept").rglob("weights.safetensors")] == [b"weights"]
    assert capsys.readouterr().out == ""
