"""What devices do, as people see it while a study runs, and as MLflow keeps it."""

from __future__ import annotations

import io
import json
from dataclasses import replace

from mlflow import MlflowClient
from rich.console import Console as Terminal
from test_engine_watch import IDLE
from tracked_study import tracked

from tuning.console import Console, StudyProgress
from tuning.console import views as views_module
from tuning.console.live import LiveView
from tuning.engine.status import Pace

BUSY = replace(IDLE, rows_busy=8, utilisation=0.5, memory_bytes=2**30, trials=("0001",))
PACES = [Pace(0, BUSY, 12.0, 96.0), Pace(1, IDLE, 0.0, 0.0)]
LINES = [
    "engine 0 (cpu): 8 rows busy; 12 steps/s, 96 replica-steps/s; 1 of 4 GiB, 50% used",
    "engine 1 (cpu): 0 rows busy; 0 steps/s, 0 replica-steps/s; 1 of 4 GiB",
]


def told(log_format, times=1):
    out = io.StringIO()
    with Console("small", ("lr",), 4, log_format=log_format, out=out) as console:
        console.devices_started({"tf32": "true"})
        for _ in range(times):
            console.devices_worked(PACES)
    return out.getvalue().splitlines()


def test_a_log_has_a_line_an_engine_and_not_more_than_one_a_minute(monkeypatch):
    assert [line.split("  ", 1)[1] for line in told("text", times=5)] == LINES
    monkeypatch.setattr(views_module, "LINES_EVERY", 0.0)
    assert len(told("text", times=5)) == 5 * len(LINES)


def test_json_has_every_number_of_every_engine():
    events = [json.loads(line) for line in told("json")]
    assert [(event["event"], event["engine"]) for event in events] == [("engine", 0), ("engine", 1)]
    assert (events[0]["steps_per_second"], events[0]["replica_steps_per_second"]) == (12.0, 96.0)
    assert (events[0]["rows_busy"], events[0]["utilisation"], events[0]["trials"]) == (8, 0.5, ["0001"])


def test_a_terminal_shows_the_engines_between_the_header_and_the_trials():
    out = io.StringIO()
    terminal = Terminal(file=out, width=120, height=20)
    progress = StudyProgress("small", ("lr",), 4)
    progress.started("0001", {"lr": 0.1})
    view = LiveView(terminal, progress)
    view.devices(PACES)
    terminal.print(view.render())
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert lines[0].startswith("small   1 of 4 trials begun")
    assert lines[1:3] == LINES
    assert lines[4].strip().startswith("0001")


def test_mlflow_keeps_them_as_system_metrics_of_the_studys_run(tmp_path):
    tracker = tracked(tmp_path)
    tracker.devices_started({"tf32": "true", "threads": "1"})
    for _ in range(2):
        tracker.devices_worked(PACES)
    tracker.settle()
    client = MlflowClient(tracker.uri)
    run = client.get_run(tracker.study_run_id)
    assert run.data.metrics["system/engine0_replica_steps_per_second"] == 96.0
    assert run.data.metrics["system/engine1_rows_busy"] == 0.0
    assert len(client.get_metric_history(run.info.run_id, "system/engine0_utilization_percentage")) == 2
    assert "system/engine1_utilization_percentage" not in run.data.metrics
    assert (run.data.tags["numerics.tf32"], run.data.tags["numerics.threads"]) == ("true", "1")
    assert run.data.params["with.precision"] == "tf32"
    tracker.end_study("finished")
