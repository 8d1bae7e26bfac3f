"""A study whose trials wait to be promoted, and that loses a promoted one's process on the way."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter

import pytest
from launching import Launch, quick, tracked
from mlflow import MlflowClient

from tuning.replay import REPRODUCED, main
from tuning.search import Journal

pytestmark = pytest.mark.slow

STUDY = quick(
    *("--num-samples", "8", "--max-concurrent", "2", "--seed", "3"),
    changes=("scheduler.mode=promote", "fixed.epochs=40", "scheduler.grace_epochs=10", "final.top=0"),
)


@pytest.fixture(scope="module", name="study")
def _study(tmp_path_factory, launch_home):
    folder = tmp_path_factory.mktemp("promote")
    launch = Launch(folder, launch_home, *STUDY)
    launch.wait_for(r"trial +\d+  continued")
    for worker in launch.workers():
        os.kill(worker, signal.SIGKILL)
    return folder, launch.ended(), Journal(folder / "studies" / "quickstart" / "decisions.jsonl").events


def test_it_ends_in_good_order_though_processes_were_lost(study):
    _, ended, _ = study
    assert (ended.status, ended.err) == (0, "")
    assert re.search(r"trial +\d+  tried again after: \S", ended.out)


def test_trials_wait_go_on_and_end_as_finished_or_paused(study):
    folder, ended, events = study
    results = tracked(folder)
    words = Counter(trial.reason.split(" at ")[0] for trial in results.trials)
    assert set(words) == {"finished", "paused"}
    assert min(words.values()) >= 1
    assert sum(event["event"] == "promoted" for event in events) >= 1
    assert "waiting at rung 0" in ended.out
    runs = MlflowClient(results.uri).search_runs([results.experiment_id], "tags.kind = 'trial'")
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert results.tags["trials_paused"] == str(words["paused"])


def test_no_trial_is_trained_twice_over_a_rung(study):
    folder, _, events = study
    rungs = Counter((e["trial"], e["rung"]) for e in events if e["event"] == "reported" and e["rung"] >= 0)
    assert set(rungs.values()) == {1}
    for trial in tracked(folder).trials:
        assert [epoch for epoch, _ in trial.curve] == list(range(1, trial.epochs + 1))


def test_its_decisions_can_be_reproduced(study):
    folder, *_ = study
    assert main(["quickstart", "--storage", str(folder / "studies")]) == REPRODUCED
