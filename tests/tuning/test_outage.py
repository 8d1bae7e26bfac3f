"""A study whose MLflow server is stopped, and killed, while it runs; once its driver is killed, too."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest
from launching import Launch, quick
from mlflow import MlflowClient
from mlflow_server import Postgres, Server

from tuning.search import Journal
from tuning.search.trials import read_trials
from tuning.tracking import read_study
from tuning.tracking.outbox import FILE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TRIALS, OUTAGE = 16, 20.0  # the seconds for which the server is stopped
STUDY = quick("--num-samples", str(TRIALS), "--max-concurrent", "2", changes=("fixed.epochs=8", "final.top=1"))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"], name="server")
def _server(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    if request.param == "sqlite":
        server, database = Server(folder, f"sqlite:///{folder}/server.db"), None
    else:
        short = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
        database = Postgres(short)
        server = Server(folder, database.uri)
    yield server
    server.kill()
    if database is not None:
        database.stop()
        shutil.rmtree(short)


@pytest.fixture(scope="module", name="story")
def _story(server, tmp_path_factory, launch_home):
    """A study that goes on while its server is stopped, is killed meanwhile, resumed, and loses its server once more.

    Returns its folder, how it ended, and how much its journal grew while nobody answered.
    """
    folder = tmp_path_factory.mktemp("outage")
    studies = folder / "studies" / "quickstart"
    journal, outbox = studies / "decisions.jsonl", studies / FILE
    words = [*STUDY, "--tracking-uri", server.uri]

    def ends() -> int:
        return journal.read_text().count('"verdict": "ends"') if journal.exists() else 0

    first = Launch(folder, launch_home, *words)
    first.wait_until(lambda: ends() >= 2)
    server.send(signal.SIGSTOP)
    stopped, before = time.monotonic(), ends()
    first.wait_until(lambda: ends() >= before + 2)
    grown, waiting = ends() - before, outbox.stat().st_size
    os.killpg(first.process.pid, signal.SIGKILL)
    first.process.wait()
    time.sleep(max(0.0, OUTAGE - (time.monotonic() - stopped)))
    server.send(signal.SIGCONT)
    second = Launch(folder, launch_home, *words, "--resume")
    so_far = ends()
    second.wait_until(lambda: ends() >= so_far + 1)
    server.kill()
    second.wait_until(lambda: ends() >= min(TRIALS, so_far + 3))
    server.start()
    return folder, second.ended(), (grown, waiting)


@pytest.fixture(scope="module", name="trials")
def _trials(story):
    """What the study's journal says of its trials."""
    return read_trials(Journal(story[0] / "studies" / "quickstart" / "decisions.jsonl").events)


def runs_of(server: Server):
    experiment = MlflowClient(server.uri).get_experiment_by_name("quickstart")
    return MlflowClient(server.uri).search_runs([experiment.experiment_id])


def test_the_search_goes_on_while_the_server_is_stopped_and_the_study_ends_well(story):
    _, ended, (grown, waiting) = story
    assert grown >= 2
    assert waiting > 0
    assert (ended.status, ended.err) == (0, "")
    assert "the study goes on" in ended.out
    assert "MLflow answers again" in ended.out


def test_no_letter_is_left(story):
    folder, ended, _ = story
    left = [path.name for path in (folder / "studies" / "quickstart").iterdir() if "outbox" in path.name]
    assert left == []
    assert "writes of this launch" in ended.out
    assert "not taken" not in ended.out


def test_every_trial_has_one_run_that_ended_as_the_journal_says(server, trials):
    runs = [run for run in runs_of(server) if run.data.tags["kind"] == "trial"]
    assert Counter(run.data.tags["trial_id"] for run in runs) == dict.fromkeys(trials, 1)
    told = {run.data.tags["trial_id"]: (run.data.tags["status_reason"], run.info.status) for run in runs}
    assert told == {name: (trial.reason, "FINISHED") for name, trial in trials.items()}
    assert [run.info.status for run in runs_of(server) if run.data.tags["kind"] == "study"] == ["FINISHED"]


def test_every_point_of_every_curve_is_there_once(server, trials):
    client = MlflowClient(server.uri)
    for run in runs_of(server):
        if run.data.tags["kind"] != "trial":
            continue
        results = trials[run.data.tags["trial_id"]].results
        points = {point["epoch"]: point for result in results for point in result["curve"]}
        for name, value in (("val_spearman", "val_spearman"), ("train_loss", "loss")):
            found = [(item.step, item.value) for item in client.get_metric_history(run.info.run_id, name)]
            assert sorted(found) == [(epoch, pytest.approx(point[value])) for epoch, point in sorted(points.items())]
        folds = [name for name in run.data.metrics if name.startswith("val_spearman") and "fold" in name]
        assert len(folds) == 4  # two classes, two folds each
        for name in folds:
            assert [item.step for item in client.get_metric_history(run.info.run_id, name)] == sorted(points)


def test_the_report_and_the_winners_model_are_made(story, server):
    folder, *_ = story
    assert (folder / "studies" / "quickstart" / "best.yaml").exists()
    results = read_study(server.uri, "quickstart")
    models = MlflowClient(server.uri).search_logged_models([results.experiment_id], max_results=100)
    (model,) = [model for model in models if model.model_type == "pamfn"]
    assert model.status == "READY"
    assert results.final is not None
