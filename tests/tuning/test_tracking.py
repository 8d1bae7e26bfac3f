"""A study's runs in MLflow, on SQLite."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tracked_study import config, point, result, run_trials, study, tracked

from pamfn.metrics import fisher_mean
from tuning.tracking import TrackingError, read_study


def runs_of(tracker, kind="trial"):
    tracker.settle()
    client = MlflowClient(tracker.uri)
    return client.search_runs([tracker.experiment_id], f"tags.kind = '{kind}'", order_by=["attributes.start_time ASC"])


def history(tracker, trial, metric="val_spearman"):
    points = MlflowClient(tracker.uri).get_metric_history(tracker.run_id(trial), metric)
    return [(item.step, item.value) for item in points]


def test_eight_trials_are_eight_flat_runs_and_the_study_is_one(tmp_path):
    tracker = tracked(tmp_path)
    run_trials(tracker, 8)
    tracker.end_study("finished", {"best_trial": "t6"})
    trials = runs_of(tracker)
    assert [run.data.tags["trial_id"] for run in trials] == [f"t{number}" for number in range(8)]
    assert {run.data.tags["study"] for run in trials} == {"small"}
    assert not any("mlflow.parentRunId" in run.data.tags for run in trials)
    (study_run,) = runs_of(tracker, "study")
    assert study_run.info.status == "FINISHED"
    tags = study_run.data.tags
    assert (tags["trials_finished"], tags["trials_stopped"], tags["trials_failed"]) == ("3", "4", "1")
    assert tags["best_trial"] == "t6"


def test_a_trials_run_carries_settings_curve_reason_code_and_data(tmp_path):
    tracker = tracked(tmp_path)
    run_trials(tracker, 1)
    (run,) = runs_of(tracker)
    assert run.info.run_name == "K=10 tau=10 lr=5e-4 N=3"
    assert sorted(run.data.params)[:4] == ["fusion_nets", "lr", "stages", "tau_init"]
    assert (run.data.params["with.lr_log10"], run.data.params["with.width"]) == ("-3.301", "16")
    assert [step for step, _ in history(tracker, "t0")] == list(range(1, 19))
    assert run.data.metrics["objective"] == history(tracker, "t0")[-1][1]
    tags = run.data.tags
    assert (tags["status_reason"], tags["rung"], tags["first"]) == ("finished", "2", "true")
    assert len(tags["mlflow.source.git.commit"]) == 40
    assert tags["data_digest"] == "0123456789abcdef" * 4
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("rg", ("0123456789abcdef" * 4)[:36])


def test_the_study_run_carries_the_space_file_and_what_is_searched(tmp_path):
    tracker = tracked(tmp_path)
    tracker.settle()
    client = MlflowClient(tracker.uri)
    run = client.get_run(tracker.study_run_id)
    assert run.data.params["search.lr"] == "0.0001 to 0.002, log"
    assert run.data.params["search.stages"] == "one of 2, 3, 4"
    written = Path(client.download_artifacts(tracker.study_run_id, "space.yaml", str(tmp_path))).read_text()
    assert written == study(tmp_path).space.to_yaml()


def test_the_status_of_a_run_tells_how_its_trial_ended(tmp_path):
    tracker = tracked(tmp_path)
    reasons = [
        "finished",
        "stopped at rung 0",
        "failed: diverged: total/fold0/seed0",
        "ended early, at 33% of its budget",
    ]
    for number, reason in enumerate(reasons):
        tracker.trial_started(f"t{number}", config(number))
        tracker.trial_ended(f"t{number}", reason)
    tracker.trial_started("t4", config(4))
    tracker.end_study("interrupted")
    found = [(run.info.status, run.data.tags["status_reason"]) for run in runs_of(tracker)]
    statuses = ["FINISHED", "FINISHED", "FAILED", "FINISHED", "KILLED"]
    assert found == list(zip(statuses, [*reasons, "interrupted"], strict=True))
    assert runs_of(tracker, "study")[0].info.status == "KILLED"


def test_telling_everything_twice_changes_nothing(tmp_path):
    tracker = tracked(tmp_path)
    run_trials(tracker, 2)
    before = [run.to_dictionary() for run in runs_of(tracker)]
    run_trials(tracker, 2)
    after = [run.to_dictionary() for run in runs_of(tracker)]
    for first, second in zip(before, after, strict=True):
        assert first["data"] == second["data"]
    assert [step for step, _ in history(tracker, "t0")] == list(range(1, 19))


def test_a_resumed_study_goes_on_in_the_runs_of_the_killed_one(tmp_path):
    killed = tracked(tmp_path)
    run_trials(killed, 2)
    killed.trial_started("t2", config(2))
    killed.trial_reported("t2", result(0))
    killed.settle()
    resumed = tracked(tmp_path, resume=True)
    for trial in ("t0", "t2"):
        resumed.trial_started(trial, config(int(trial[1:])))
    resumed.trial_reported("t2", result(1, curve=[point(epoch, 0.5) for epoch in range(1, 7)]))
    resumed.trial_ended("t0", "finished")
    resumed.trial_ended("t2", "stopped at rung 1")
    resumed.end_study("finished")
    assert resumed.study_run_id == killed.study_run_id
    assert [run.data.tags["trial_id"] for run in runs_of(resumed)] == ["t0", "t1", "t2"]
    assert [run.info.status for run in runs_of(resumed)] == ["FINISHED", "FAILED", "FINISHED"]
    assert [step for step, _ in history(resumed, "t2")] == list(range(1, 7))
    assert history(resumed, "t2")[0] == history(killed, "t2")[0]
    assert len(runs_of(resumed, "study")) == 1


def test_a_run_that_was_made_but_not_described_before_a_kill_is_completed(tmp_path):
    killed = tracked(tmp_path)
    tags = {"kind": "trial", "trial_id": "t0", "study_run": killed.study_run_id}
    MlflowClient(killed.uri).create_run(killed.experiment_id, tags=tags, run_name="half")
    resumed = tracked(tmp_path, resume=True)
    resumed.trial_started("t0", config(0))
    (run,) = runs_of(resumed)
    assert run.data.params["fusion_nets"] == "10"
    assert len(run.inputs.dataset_inputs) == 1


def test_a_trial_begun_again_with_another_configuration_gets_a_run_of_its_own(tmp_path):
    before = tracked(tmp_path)
    run_trials(before, 3)
    again = tracked(tmp_path, resume=True)
    again.trial_started("t0", config(0))
    again.trial_started("t2", config(5))
    again.trial_started("t2", config(5))
    again.trial_reported("t2", result(0, peak=0.9))
    again.trial_ended("t2", "stopped at rung 0")
    again.end_study("finished")
    (former,) = runs_of(again, "superseded")
    assert (former.data.params["fusion_nets"], former.info.status) == ("4", "KILLED")
    read = {trial.trial_id: trial for trial in read_study(again.uri, "small").trials}
    assert list(read) == ["t0", "t1", "t2"]
    assert read["t2"].values == config(5)
    assert read["t2"].score == pytest.approx(result(0, peak=0.9)["val_spearman"])


def test_a_new_study_of_an_old_name_leaves_the_old_runs_alone(tmp_path):
    old = tracked(tmp_path)
    run_trials(old, 1)
    old.end_study("finished")
    new = tracked(tmp_path)
    new.trial_started("t0", config(0))
    new.settle()
    assert len(runs_of(new)) == 2
    assert len(runs_of(new, "study")) == 2
    assert [trial.reason for trial in read_study(new.uri, "small").trials] == [""]


def test_a_nan_is_written_as_a_nan_and_ends_nothing(tmp_path):
    tracker = tracked(tmp_path)
    tracker.trial_started("t0", config(0))
    broken = [point(1, 0.3), point(2, math.nan) | {"loss": math.inf}]
    tracker.trial_reported("t0", result(0, curve=broken, val_spearman=math.nan, best_val_spearman=0.3))
    tracker.trial_ended("t0", "failed: diverged: total/fold0/seed0")
    (run,) = runs_of(tracker)
    assert math.isnan(run.data.metrics["val_spearman"])
    assert math.isnan(run.data.metrics["train_loss"])
    assert run.data.metrics["best_val_spearman"] == 0.3
    again = tracked(tmp_path, resume=True)
    again.trial_reported("t0", result(0, curve=broken, val_spearman=math.nan, best_val_spearman=0.3))
    assert [step for step, _ in history(again, "t0")] == [1, 2]
    assert [trial.score for trial in read_study(tracker.uri, "small").ranked()] == []


def test_a_trial_that_ended_after_its_first_folds_shows_what_they_scored(tmp_path):
    tracker = tracked(tmp_path)
    tracker.trial_started("t0", config(0))
    ahead = {"folds": {"done": 2, "of": 5}, "fold_scores": {"0": 0.2, "1": 0.4}, "best_val_spearman": None}
    tracker.trial_reported("t0", result(0, val_spearman=None, curve=[], **ahead) | {"rung": -1})
    tracker.trial_ended("t0", "stopped after 2 of 5 folds at rung 0")
    (run,) = runs_of(tracker)
    assert run.data.metrics["first_folds_spearman"] == pytest.approx(fisher_mean([0.2, 0.4]))
    assert not {"objective", "val_spearman", "best_val_spearman"} & set(run.data.metrics)
    assert run.info.status == "FINISHED"


def test_class_names_with_odd_characters_get_curves(tmp_path):
    tasks = ("Ball & Ribbon (α)", "Ball | Ribbon (α)", "../up")
    tracker = tracked(tmp_path, tasks=tasks)
    tracker.trial_started("t0", config(0))
    tracker.trial_reported("t0", result(0, tasks=tasks))
    (run,) = runs_of(tracker)
    assert len([name for name in run.data.metrics if name.endswith("/fold1")]) == 3


def test_a_curve_of_thousands_of_points_is_written_whole(tmp_path):
    tracker = tracked(tmp_path)
    tracker.trial_started("t0", config(0))
    tracker.trial_reported("t0", result(2, curve=[point(epoch, 0.5) for epoch in range(1, 1001)]))
    assert [step for step, _ in history(tracker, "t0")] == list(range(1, 1001))
    assert len(history(tracker, "t0", "val_spearman/fold1")) == 1000


def test_a_run_id_in_the_environment_does_not_matter(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "another")
    tracker = tracked(tmp_path)
    run_trials(tracker, 1)
    tracker.end_study("finished")
    assert [run.info.status for run in runs_of(tracker)] == ["FINISHED"]


def test_artefacts_lie_beside_the_database_and_not_in_the_working_directory(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    tracker = tracked(tmp_path)
    run_trials(tracker, 1)
    weights = tmp_path / "best.safetensors"
    weights.write_bytes(b"weights")
    tracker.log_file("t0", weights, "checkpoints")
    tracker.settle()
    kept = list((tmp_path / "mlartifacts").rglob("checkpoints/best.safetensors"))
    assert [path.read_bytes() for path in kept] == [b"weights"]
    assert list(elsewhere.iterdir()) == []


def test_a_winner_is_a_logged_model_of_its_run_and_data_made_once(tmp_path):
    tracker = tracked(tmp_path)
    run_trials(tracker, 1)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.safetensors").write_bytes(b"weights")
    (folder / "recipe.json").write_text("{}")
    tracker.log_model("t0", "small: top 1", folder, {"objective": 0.5})
    tracker.settle()
    again = tracked(tmp_path, resume=True)
    again.log_model("t0", "small: top 1", folder, {"objective": 0.5})
    again.settle()
    client = MlflowClient(tracker.uri)
    (model,) = client.search_logged_models([tracker.experiment_id])
    assert (model.name, model.status, model.source_run_id) == ("small_ top 1", "READY", tracker.run_id("t0"))
    assert [(metric.key, metric.dataset_name) for metric in model.metrics] == [("objective", "rg")]
    assert model.params["fusion_nets"] == "10"
    assert [output.model_id for output in client.get_run(tracker.run_id("t0")).outputs.model_outputs] == [
        model.model_id
    ]
    files = {path.name for path in Path(model.artifact_location).iterdir()}
    assert files == {"weights.safetensors", "recipe.json", "MLmodel"}


def test_a_deleted_experiment_is_one_line_that_says_what_to_do(tmp_path):
    tracker = tracked(tmp_path)
    MlflowClient(tracker.uri).delete_experiment(tracker.experiment_id)
    with pytest.raises(TrackingError) as caught:
        tracked(tmp_path)
    assert str(caught.value) == (
        f"experiment 'small' at {tracker.uri}: was deleted in MLflow; give another --name, or "
        f"`mlflow experiments restore -x {tracker.experiment_id}`"
    )


def test_a_study_reads_back_with_the_values_it_was_told(tmp_path):
    tracker = tracked(tmp_path)
    run_trials(tracker, 8)
    tracker.end_study("finished")
    results = read_study(tracker.uri, "small")
    assert [dict(trial.values) for trial in results.trials] == [config(number) for number in range(8)]
    assert [type(value) for value in results.trials[1].values.values()] == [int, float, int, float]
    assert [trial.trial_id for trial in results.ranked()[:3]] == ["t6", "t3", "t0"]
    assert results.trials[0].first
    assert results.trials[0].curve[-1] == (18, results.trials[0].score)
    assert results.space.to_yaml() == study(tmp_path).space.to_yaml()


def test_the_compare_page_preselects_what_it_reads_first(tmp_path):
    """It takes the first three parameters by alphabet and the first metric in the order of writing."""
    tracker = tracked(tmp_path)
    run_trials(tracker, 1)
    (run,) = runs_of(tracker)
    assert sorted(run.data.params)[:3] == ["fusion_nets", "lr", "stages"]
    assert next(iter(run.data.metrics)) == "best_val_spearman"


def test_an_unknown_study_is_one_line_with_the_known_ones(tmp_path):
    tracker = tracked(tmp_path)
    with pytest.raises(TrackingError, match=r"study 'smal': not in .*mlflow\.db; it has made, small"):
        read_study(tracker.uri, "smal")


def test_importing_the_tracker_does_not_import_mlflow():
    code = "import sys, tuning.tracking, tuning.console; sys.exit('mlflow' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
