"""A study whose engines are killed with SIGKILL at random moments, and whose trials' own processes are too."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from launching import Launch, quick, tracked
from mlflow import MlflowClient

from tuning.replay import REPRODUCED, main
from tuning.search import Journal
from tuning.search.trials import read_trials

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

KILLS, SECONDS, SEED, TRIALS = 5, 3.0, 11, 24
STUDY = quick(
    *("--num-samples", str(TRIALS), "--max-concurrent", "4"),
    changes=("fixed.epochs=36", "scheduler.grace_epochs=4", "scheduler.reduction=3", "final.top=0"),
)


def reports(journal) -> int:
    """Returns how many reports have come in so far."""
    return journal.read_text().count('"event": "reported"')


@pytest.fixture(scope="module", name="story")
def _story(tmp_path_factory, launch_home):
    """A study that loses one engine five times, and once the processes of all its trials."""
    folder, moments = tmp_path_factory.mktemp("engines"), random.Random(SEED)
    launch, killed = Launch(folder, launch_home, *STUDY), []
    journal = folder / "studies" / "quickstart" / "decisions.jsonl"
    launch.wait_for(r"trial +\d+  started")
    with_torch = [pid for pid in launch.workers() if "libtorch" in Path(f"/proc/{pid}/maps").read_text()]
    for kill in range(KILLS):
        before = reports(journal)
        launch.wait_until(lambda before=before: reports(journal) > before + 1)
        time.sleep(moments.uniform(0, SECONDS))
        engine = launch.wait_until(lambda: [pid for pid in launch.engines() if pid not in killed])
        killed.append(moments.choice(engine))
        os.kill(killed[-1], signal.SIGKILL)
        if kill == 2:
            for worker in launch.workers():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
    at = sum(trial.over for trial in read_trials(Journal(journal).events).values())
    return folder, killed, at, with_torch, launch.ended(600), Journal(journal).events


def test_it_was_killed_in_the_middle_of_things(story):
    _, killed, at, *_ = story
    assert len(set(killed)) == KILLS
    assert at < TRIALS


def test_a_trials_own_process_has_no_torch_in_it(story):
    *_, with_torch, _, _ = story
    assert with_torch == []


def test_it_ends_in_good_order(story):
    *_, ended, _ = story
    assert (ended.status, ended.err) == (0, "")
    told = re.findall(r"engine \d was lost; it starts again, its trials from their checkpoints", ended.out)
    assert 3 <= len(told) <= KILLS, "one that is killed while it starts is not told of"


def test_every_trial_is_in_mlflow_once_and_has_ended(story):
    folder, *_, events = story
    results, trials = tracked(folder), read_trials(events)
    runs = MlflowClient(results.uri).search_runs([results.experiment_id])
    assert Counter(run.data.tags["kind"] for run in runs) == {"trial": TRIALS, "study": 1}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {trial.trial_id: trial.reason for trial in results.trials} == {t.trial: t.reason for t in trials.values()}
    assert {trial.reason.split(" ")[0] for trial in results.trials} == {"finished", "stopped"}


def test_every_learning_curve_is_whole(story):
    folder, *_ = story
    for trial in tracked(folder).trials:
        assert [epoch for epoch, _ in trial.curve] == list(range(1, trial.epochs + 1))


def test_every_rung_was_reported_once(story):
    *_, events = story
    rungs = Counter((e["trial"], e["rung"]) for e in events if e["event"] == "reported" and e["rung"] >= 0)
    assert set(rungs.values()) == {1}


def test_its_decisions_can_be_reproduced(story, capsys):
    folder, *_ = story
    assert main(["quickstart", "--storage", str(folder / "studies")]) == REPRODUCED
    assert capsys.readouterr().out.endswith("suggestions and decisions, all reproduced\n")


def test_nothing_half_written_stays(story):
    folder, *_ = story
    assert not list((folder / "studies" / "quickstart" / "tune").rglob(".checkpoint_*"))
