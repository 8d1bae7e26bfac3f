"""A study from one command to its end: exit status, files, MLflow, and nothing else left or said."""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from launching import SEQUENTIAL, Launch, quick, tracked
from mlflow import MlflowClient

from tuning.request import parse, requested_study
from tuning.space import load_space
from tuning.trial import Trial

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", name="study")
def _study(undisturbed):
    folder, ended = undisturbed
    return folder, ended, tracked(folder)


@pytest.fixture(scope="module", name="runs")
def _runs(study):
    folder, _, results = study
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    return client.search_runs([results.experiment_id], "tags.kind = 'trial'")


def test_a_study_ends_with_exit_status_0_and_a_silent_standard_error(study):
    _, ended, _ = study
    assert (ended.status, ended.err) == (0, "")


def test_only_our_own_lines_are_printed(study):
    _, ended, _ = study
    events, _, summary = ended.out.partition("\n\n")
    assert all(re.match(r"\d\d:\d\d:\d\d  ", line) for line in events.splitlines())
    assert summary.startswith("Study quickstart: 12 trials (")
    assert "mlflow ui --backend-store-uri sqlite:///" in summary
    assert not re.search(r"ray|tune_controller|WARNING|Warning|Traceback", ended.out.replace("tune/", ""))


def test_the_working_directory_holds_what_was_promised_and_no_more(study):
    folder, _, _ = study
    assert {path.name for path in folder.iterdir()} == {"0.out", "0.err", "mlflow.db", "mlartifacts", "studies"}
    assert {path.name for path in (folder / "studies").iterdir()} == {
        *("branches", "data", "openings.jsonl", "quickstart", ".quickstart.lock")
    }
    assert {path.name for path in (folder / "studies" / "quickstart").iterdir()} - {"snapshots"} == {
        *("best.yaml", "results.parquet", "report.html", "study.json", "final", "final.json", "decisions.jsonl", "tune")
    }
    hidden = [path.name for path in (folder / "studies").rglob(".*")]
    assert set(hidden) <= {".validate_storage_marker", ".quickstart.lock"}


def test_asha_stopped_some_and_let_some_run_to_the_end(study):
    reasons = Counter(trial.reason.split(" at ")[0] for trial in study[2].trials)
    assert set(reasons) == {"finished", "stopped"}
    assert min(reasons.values()) >= 1


def test_the_first_trial_is_the_one_that_the_space_names(study):
    first = study[2].trials[0]
    assert first.first
    assert first.values == {"fusion_nets": 4, "tau_init": 10.0, "lr": 5e-3, "stages": 3}


def test_every_trial_has_one_run_with_its_curve_reason_and_score(study, runs):
    _, _, results = study
    assert len(runs) == len(results.trials) == len({trial.trial_id for trial in results.trials}) == 12
    for trial in results.trials:
        assert [epoch for epoch, _ in trial.curve] == list(range(1, trial.epochs + 1))
        assert trial.score == trial.curve[-1][1]
        assert trial.best == max(score for _, score in trial.curve)
        assert trial.epochs == {"finished": 4}.get(trial.reason, [1, 2, 4][trial.rung])


def test_runs_are_flat_and_say_which_study_code_and_data_they_belong_to(study, runs):
    folder, _, _ = study
    digest = json.loads((folder / "studies" / "quickstart" / "study.json").read_text())["digest"]
    for run in runs:
        assert run.data.tags["study"] == "quickstart"
        assert run.data.tags["data_digest"] == digest
        assert "mlflow.parentRunId" not in run.data.tags
        assert run.inputs.dataset_inputs[0].dataset.digest == digest[:36]
        assert sorted(run.data.params)[:3] == ["fusion_nets", "lr", "stages"]
        assert "git_commit" in run.data.tags


def test_weights_of_finished_trials_are_kept_and_those_of_stopped_ones_are_not(study, runs):
    folder, _, results = study
    client = MlflowClient(results.uri)
    models = client.search_logged_models([results.experiment_id], max_results=100)
    for run in runs:
        mine = [m for m in models if m.source_run_id == run.info.run_id and m.model_type == "checkpoint"]
        trial = f"trial-{run.data.tags['trial_id']}"
        finished = run.data.tags["status_reason"] == "finished"
        assert sorted(model.name for model in mine) == ([f"{trial}-best", f"{trial}-last"] if finished else [])
        for model in mine:
            kept = {path.name for path in Path(model.artifact_location).iterdir()}
            assert kept == {f"{model.name.rsplit('-')[-1]}.safetensors", "trial.json", "MLmodel"}
            (score,) = [metric for metric in model.metrics if metric.key == "val_spearman"]
            curve = client.get_metric_history(run.info.run_id, "val_spearman")
            assert [point.value for point in curve if point.step == score.step] == [score.value]
            assert score.dataset_digest == run.inputs.dataset_inputs[0].dataset.digest
    assert not list((folder / "studies" / "quickstart" / "tune").rglob("*.safetensors"))


def test_the_winner_is_a_logged_model_with_its_verdict_on_the_test_split(study):
    folder, _, results = study
    models = MlflowClient(results.uri).search_logged_models([results.experiment_id], max_results=100)
    (model,) = [model for model in models if model.model_type == "pamfn"]
    winner = results.ranked()[0]
    assert model.source_run_id == winner.run_id
    verdict = json.loads((folder / "studies" / "quickstart" / "final.json").read_text())
    average = verdict["candidates"][0]["models"]["fusion"]["average"]
    assert winner.scalars["final_test_spearman"] == pytest.approx(average["spearman"])
    assert winner.scalars["final_test_spearman_low"] <= average["spearman"]
    assert winner.scalars["final_test_spearman_high"] >= average["spearman"]
    assert len((folder / "studies" / "openings.jsonl").read_text().splitlines()) == 1


def test_the_table_of_results_has_a_row_for_every_trial(study):
    folder, _, results = study
    table = pq.read_table(folder / "studies" / "quickstart" / "results.parquet").to_pylist()
    assert [row["trial_id"] for row in table] == [trial.trial_id for trial in results.trials]
    assert all(isinstance(row["fusion_nets"], int) and math.isfinite(row["val_spearman"]) for row in table)


def test_the_best_configuration_is_a_space_that_launches_as_it_is(study, monkeypatch):
    folder, _, results = study
    path = folder / "studies" / "quickstart" / "best.yaml"
    space = load_space(path)
    assert space.search == {}
    assert {name: space.fixed[name] for name in results.space.search} == dict(results.ranked()[0].values)
    monkeypatch.chdir(folder)
    resolved, _ = requested_study(parse(["--space", str(path)]))
    assert resolved.name == "best"
    assert (folder / "studies" / "quickstart" / "report.html").stat().st_size > 1000


def test_an_actor_that_is_used_again_gives_the_numbers_of_a_fresh_process(study, monkeypatch):
    folder, _, results = study
    monkeypatch.chdir(folder)
    resolved, _ = requested_study(parse([*SEQUENTIAL, "--name", "again", "--reopen-test"]))
    last = max((trial for trial in results.trials if trial.finished), key=lambda t: results.trials.index(t))
    trial = Trial(resolved, last.values)
    while not trial.advance()["done"]:
        pass
    assert [(point["epoch"], point["val_spearman"]) for point in trial.curve] == list(last.curve)


def test_branches_were_trained_once_for_every_number_of_stages(study, runs):
    folder, _, results = study
    trained = sum(int(run.data.tags["branches_trained"]) for run in runs)
    stages = {trial.values["stages"] for trial in results.trials}
    assert trained == len(stages) * 3 * 4
    verdict = json.loads((folder / "studies" / "quickstart" / "final.json").read_text())
    kinds = {row["config"]["stages"] for row in [*verdict["candidates"], verdict["reference"]]}
    final = 3 * 2 * len(kinds)
    assert len(list((folder / "studies" / "branches").glob("*.safetensors"))) == trained + final


def test_a_study_that_is_complete_is_resumed_without_training_anything(study, launch_home):
    folder, ended, results = study
    again = Launch(folder, launch_home, *SEQUENTIAL, "--resume").ended()
    assert (again.status, again.err) == (0, "")
    assert again.out.partition("\n\n")[2] == ended.out.partition("\n\n")[2]
    assert [(t.run_id, t.curve) for t in tracked(folder).trials] == [(t.run_id, t.curve) for t in results.trials]
    assert len((folder / "studies" / "openings.jsonl").read_text().splitlines()) == 1


def test_trials_that_diverge_give_exit_status_1_and_json_tells_of_it(tmp_path, launch_home):
    changes = (
        *("search.fusion_nets=null", "search.tau_init=null", "search.stages=null", "first={lr: 0.005}"),
        *("search.lr={type: choice, values: [0.005, 10.0]}", "fixed.weight_decay=1", "fixed.fusion_nets=2"),
    )
    ended = Launch(tmp_path, launch_home, *quick("--num-samples", "2", "--log-format", "json", changes=changes)).ended()
    assert (ended.status, ended.err) == (1, "")
    events = [json.loads(line) for line in ended.out.splitlines()]
    ends = {event["config"]["lr"]: event["reason"] for event in events if event["event"] == "trial_ended"}
    assert ends[10.0].startswith(("failed: diverged", "failed: constant"))
    assert ends[0.005] == "finished"
    assert events[-1]["event"] == "study_ended"
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        statuses = [row[0] for row in database.execute("select status from runs order by start_time")]
    assert sorted(statuses) == ["FAILED", "FINISHED", "FINISHED"]


def test_a_spent_time_budget_ends_a_study_in_good_order(tmp_path, launch_home):
    launch = Launch(tmp_path, launch_home, *quick("--num-samples", "200", "--time-budget", "12s"))
    ended = launch.ended()
    assert (ended.status, ended.err) == (0, "")
    trials = tracked(tmp_path).trials
    assert 1 <= len(trials) < 200
    assert all(trial.reason for trial in trials)
    assert any(trial.reason.startswith("ended early, at ") for trial in trials)
    assert not launch.offspring()
    again = Launch(tmp_path, launch_home, *quick("--num-samples", "200", "--time-budget", "12s", "--resume")).ended()
    assert (again.status, again.err) == (0, "")
    assert {trial.run_id for trial in tracked(tmp_path).trials} == {trial.run_id for trial in trials}
