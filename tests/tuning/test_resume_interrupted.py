"""A study that is interrupted with Ctrl-C, resumed with the command it names, and loses a worker on the way."""

from __future__ import annotations

import os
import re
import shlex
import signal
import time

import pytest
from launching import Launch, listening_on, quick, tracked
from mlflow import MlflowClient

pytestmark = pytest.mark.slow

LONG = quick("--num-samples", "4", changes=("fixed.epochs=40", "scheduler.grace_epochs=10", "scheduler.reduction=4"))


@pytest.fixture(scope="module", name="story")
def _story(tmp_path_factory, launch_home):
    folder = tmp_path_factory.mktemp("interrupted")
    launch = Launch(folder, launch_home, *LONG)
    launch.wait_for(r"rung 0")
    pressed = time.monotonic()
    os.kill(launch.process.pid, signal.SIGINT)
    interrupted = launch.ended(60)
    took = time.monotonic() - pressed
    left, between = launch.offspring(), tracked(folder)
    words = shlex.split(re.search(r"^Resume: +(.*)$", interrupted.out, re.M).group(1))
    again = Launch(folder, launch_home, *words[3:])
    again.wait_until(lambda: list((folder / "studies" / "quickstart" / "tune" / "2").rglob("checkpoint_*/trial.json")))
    addresses = listening_on(again.offspring())
    time.sleep(0.5)  # Tune has been told of the checkpoint by now
    for worker in again.workers():
        os.kill(worker, signal.SIGKILL)
    return folder, (interrupted, took, left, between), words, addresses, again.ended()


def test_ctrl_c_ends_with_exit_status_130_soon_and_leaves_no_process(story):
    _, (interrupted, took, left, _), *_ = story
    assert (interrupted.status, interrupted.err) == (130, "")
    assert took < 30
    assert left == {}


def test_a_private_ray_listens_on_the_loopback_interface_alone(story, launch_home):
    *_, addresses, _ = story
    assert addresses
    assert addresses <= {"0100007F", "0000000000000000FFFF00000100007F"}  # as IPv4, and as IPv4 within IPv6
    assert (launch_home / ".ray" / "auth_token").stat().st_mode & 0o077 == 0


def test_ctrl_c_names_the_command_that_goes_on(story):
    _, _, words, *_ = story
    assert words == ["python", "-m", "tuning.launch", *LONG, "--resume"]


def test_an_interrupted_study_says_so_in_mlflow(story):
    folder, (_, _, _, between), *_ = story
    assert between.tags["status_reason"] == "interrupted"
    assert {trial.reason for trial in between.trials} <= {"interrupted", "stopped at rung 0"}
    assert "interrupted" in {trial.reason for trial in between.trials}
    assert {path.name for path in (folder / "studies" / "quickstart").iterdir()} >= {"results.parquet", "report.html"}


def test_a_study_that_lost_a_worker_ends_with_exit_status_0(story):
    *_, ended = story
    assert (ended.status, ended.err) == (0, "")
    assert re.search(r"trial +\d+  tried again after: \S", ended.out)
    assert "raylet" not in ended.out


def test_the_trial_of_a_lost_worker_goes_on_from_its_rung(story):
    folder, *_ = story
    results = tracked(folder)
    runs = MlflowClient(results.uri).search_runs([results.experiment_id], "tags.kind = 'trial'")
    assert len(runs) == 4
    assert max(int(run.data.tags["attempt"]) for run in runs) >= 1
    for trial in results.trials:
        assert [epoch for epoch, _ in trial.curve] == list(range(1, trial.epochs + 1))
        assert trial.reason in ("finished", "stopped at rung 0")


def test_nothing_runs_when_everything_is_over(story):
    folder, *_ = story
    assert "RUNNING" not in {
        run.info.status for run in MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").search_runs(["1"])
    }
