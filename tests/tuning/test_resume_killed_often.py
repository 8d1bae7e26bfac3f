"""A study whose driver is killed with SIGKILL at ten random moments, and resumed each time."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter

import pytest
from launching import Launch, quick, tracked
from mlflow import MlflowClient

from tuning.replay import REPRODUCED, main
from tuning.search import Journal
from tuning.search.trials import read_trials

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]  # minutes of starting Ray, more on a busy machine

KILLS, SECONDS, SEED = 10, 9.0, 7
TRIALS = 24
STUDY = quick(
    *("--num-samples", str(TRIALS), "--max-concurrent", "2"),
    changes=("scheduler.mode=promote", "fixed.epochs=24", "scheduler.grace_epochs=3", "final.top=0"),
)


@pytest.fixture(scope="module", name="story")
def _story(tmp_path_factory, launch_home):
    folder, moments = tmp_path_factory.mktemp("often"), random.Random(SEED)
    path = folder / "studies" / "quickstart" / "decisions.jsonl"
    kept = []
    for kill in range(KILLS):
        launch = Launch(folder, launch_home, *STUDY, *(["--resume"] if kill else []))
        launch.wait_until(lambda launches=kill + 1: path.exists() and path.read_text().count('"launched"') == launches)
        time.sleep(moments.uniform(0, SECONDS))
        os.killpg(launch.process.pid, signal.SIGKILL)
        launch.process.wait()
        kept.append(path.read_bytes())
    return folder, kept, Launch(folder, launch_home, *STUDY, "--resume").ended()


@pytest.fixture(scope="module", name="events")
def _events(story):
    folder, *_ = story
    return Journal(folder / "studies" / "quickstart" / "decisions.jsonl").events


def test_it_ends_in_good_order(story):
    *_, ended = story
    assert (ended.status, ended.err) == (0, "")


def test_it_was_killed_in_the_middle_of_things(story, events):
    _, kept, _ = story
    at = [content.count(b"\n") for content in kept]
    assert len(set(at)) >= KILLS // 2, f"lines in the journal at each kill: {at}"
    assert sum(event["event"] == "launched" for event in events) == KILLS + 1


def test_what_was_in_the_journal_stayed_there(story):
    folder, kept, _ = story
    whole = (folder / "studies" / "quickstart" / "decisions.jsonl").read_bytes()
    for content in kept:
        assert whole.startswith(content[: content.rfind(b"\n") + 1])


def test_every_decision_is_that_of_an_undisturbed_study_with_the_same_completion_order(story, capsys):
    folder, *_ = story
    assert main(["quickstart", "--storage", str(folder / "studies")]) == REPRODUCED
    assert capsys.readouterr().out.endswith("suggestions and decisions, all reproduced\n")


def test_the_journal_names_every_trial_once_an_event(events):
    suggested = [event["trial"] for event in events if event["event"] == "suggested"]
    assert suggested == [f"{number:04d}" for number in range(TRIALS)]
    rungs = Counter((e["trial"], e["rung"]) for e in events if e["event"] == "reported" and e["rung"] >= 0)
    assert set(rungs.values()) == {1}
    promoted = Counter((e["trial"], e["rung"]) for e in events if e["event"] == "promoted")
    assert set(promoted.values()) <= {1}
    ends = [e["trial"] for e in events if e["event"] == "ended" or e.get("verdict") == "ends"]
    assert sorted(ends) == suggested


def test_no_run_is_doubled_or_lost(story, events):
    folder, *_ = story
    results, trials = tracked(folder), read_trials(events)
    runs = MlflowClient(results.uri).search_runs([results.experiment_id])
    assert Counter(run.data.tags["kind"] for run in runs) == {"trial": TRIALS, "study": 1}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {trial.trial_id: trial.reason for trial in results.trials} == {t.trial: t.reason for t in trials.values()}
    assert {trial.trial_id: dict(trial.values) for trial in results.trials} == {
        t.trial: t.config for t in trials.values()
    }


def test_every_learning_curve_is_whole(story):
    folder, *_ = story
    for trial in tracked(folder).trials:
        assert [epoch for epoch, _ in trial.curve] == list(range(1, trial.epochs + 1))


def test_one_trial_at_least_ran_its_full_budget(events):
    words = Counter(trial.reason.split(" ")[0] for trial in read_trials(events).values())
    assert words["finished"] >= 1
    assert set(words) == {"finished", "paused"}
