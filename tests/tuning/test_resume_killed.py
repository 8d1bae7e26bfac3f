"""A study whose driver is killed with SIGKILL, again and again, and resumed each time until it is done."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time

import pytest
from launching import SEQUENTIAL, Launch, curves, tracked

pytestmark = pytest.mark.slow


def killed(launch: Launch) -> Launch:
    """Kills a driver with all of its process group; what else it had started has to see by itself that it is gone."""
    os.killpg(launch.process.pid, signal.SIGKILL)
    launch.process.wait()
    return launch


@pytest.fixture(scope="module", name="story")
def _story(tmp_path_factory, launch_home):
    """A study that is killed before its first trial, in the middle, and in its final stage.

    Before the last launch the folder with all of Tune's files is deleted: nothing in it is needed for what has ended.
    """
    folder = tmp_path_factory.mktemp("killed")
    studies = folder / "studies" / "quickstart"
    first = Launch(folder, launch_home, *SEQUENTIAL)
    first.wait_until(lambda: (studies / "study.json").exists())
    killed(first)
    early = [path.name for path in studies.iterdir()]
    second = Launch(folder, launch_home, *SEQUENTIAL, "--resume")
    second.wait_for(r"trial 0002  started")
    second.wait_until(lambda: sum(bool(trial.reason) for trial in tracked(folder).trials) >= 2)  # MLflow lags behind
    killed(second)
    middle = tracked(folder)
    third = Launch(folder, launch_home, *SEQUENTIAL, "--resume")
    third.wait_for("training the best")
    killed(third)
    shutil.rmtree(studies / "tune")
    last = Launch(folder, launch_home, *SEQUENTIAL, "--resume").ended()
    left = [launch for launch in (first, second, third) if launch.offspring()]
    return folder, early, middle, third.out, left, last, tracked(folder)


def test_a_study_killed_before_its_first_trial_is_resumed_afresh(story):
    folder, early, *_ = story
    assert early == ["study.json"]
    assert (folder / "1.err").read_text() == ""


def test_a_study_that_was_killed_three_times_ends_with_exit_status_0(story):
    *_, last, _ = story
    assert (last.status, last.err) == (0, "")
    assert "training the best" in last.out


def test_a_killed_driver_leaves_no_process_behind(story):
    *_, left, _, _ = story
    until = time.monotonic() + 60
    while any(launch.offspring() for launch in left):
        assert time.monotonic() < until
        time.sleep(1)


def test_no_run_is_doubled_or_lost(story):
    *_, results = story
    assert len(results.trials) == len({trial.trial_id for trial in results.trials}) == 12
    assert all(trial.reason for trial in results.trials)
    kinds = [results.tags["kind"], results.tags["status_reason"]]
    assert kinds == ["study", "finished"]


def test_trials_that_had_ended_are_kept_and_not_trained_again(story):
    _, _, middle, resumed, *_, results = story
    ended = {trial.trial_id: trial for trial in middle.trials if trial.reason}
    assert len(ended) >= 2
    assert len(ended) < 12
    after = {trial.trial_id: trial for trial in results.trials}
    for trial_id, trial in ended.items():
        assert after[trial_id].run_id == trial.run_id
        assert after[trial_id].curve == trial.curve
        assert after[trial_id].seconds == trial.seconds
    started = [line for line in resumed.splitlines() if "started" in line]
    assert len(started) >= 12 - len(ended)


def test_a_killed_study_comes_to_the_results_of_an_undisturbed_one(story, undisturbed):
    *_, results = story
    calm = tracked(undisturbed[0])
    assert curves(results) == curves(calm)
    assert {str(t.values): t.reason for t in results.trials} == {str(t.values): t.reason for t in calm.trials}


def test_the_test_split_is_opened_once_and_says_the_same(story, undisturbed):
    folder, *_ = story
    entries = (folder / "studies" / "openings.jsonl").read_text().splitlines()
    assert len(entries) == 1
    mine, calm = (
        json.loads((place / "studies" / "quickstart" / "final.json").read_text()) for place in (folder, undisturbed[0])
    )
    assert mine["candidates"][0]["models"] == calm["candidates"][0]["models"]
    assert mine["candidates"][0]["config"] == calm["candidates"][0]["config"]
