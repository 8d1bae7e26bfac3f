"""What a trial's own process uses, and where MLflow has it."""

from __future__ import annotations

import time

import torch
from mlflow import MlflowClient
from tracked_study import config, result, tracked

from tuning.usage import Usage


def test_a_busy_process_uses_a_core_and_a_waiting_one_none():
    usage = Usage()
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    busy = usage.of_late()["values"]
    time.sleep(0.3)
    idle = usage.of_late()["values"]
    assert idle["cpu_percentage"] < 30 < busy["cpu_percentage"]
    assert 10 < busy["memory_megabytes"] < 100_000
    assert ("gpu_memory_megabytes" in busy) == torch.cuda.is_available()


def test_mlflow_has_it_as_system_metrics_of_the_trials_run_once(tmp_path):
    tracker, usage = tracked(tmp_path), Usage()
    tracker.trial_started("t0", config(0))
    told = []
    for rung in (0, 1):
        told.append(result(rung, usage=usage.of_late()))
        time.sleep(0.01)
    for values in [*told, told[1]]:  # a resumed study tells of the last once more
        tracker.trial_reported("t0", values)
    client, run = MlflowClient(tracker.uri), tracker.run_id("t0")
    points = client.get_metric_history(run, "system/trial_memory_megabytes")
    assert [point.timestamp for point in points] == [values["usage"]["at"] for values in told]
    assert "system/trial_cpu_percentage" in client.get_run(run).data.metrics
