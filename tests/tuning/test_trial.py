"""One trial, without Ray: what it reports, when it ends, and why."""

from __future__ import annotations

import math
from typing import Any

import pytest
from planted_study import CONFIG, ran, results, small_study, timeless

from pamfn.phases.report import Report
from tuning import cohort
from tuning import trial as trials
from tuning.milestone import found
from tuning.trial import Trial


@pytest.fixture(scope="module", name="study")
def _study(planted_shards, tmp_path_factory):
    return small_study(planted_shards, tmp_path_factory.mktemp("studies"))


@pytest.fixture(scope="module", name="told")
def _told(study):
    return ran(study, lr=2e-2)


def test_a_trial_reports_at_every_rung_and_ends_with_the_last(study, told):
    assert [result["rung"] for result in told] == [0, 1, 2]
    assert [result["epoch"] for result in told] == [1, 3, 9]
    assert [result["progress"] for result in told] == list(study.rungs(study.space.recipe(CONFIG)))
    assert [result["done"] for result in told] == [False, False, True]
    assert all(result["status_reason"] == "" for result in told)


def test_the_objective_is_the_score_at_the_last_rung_and_never_the_maximum(told):
    curve = [point for result in told for point in result["curve"]]
    best = max(point["val_spearman"] for point in curve)
    assert told[-1]["val_spearman"] == curve[-1]["val_spearman"]
    assert told[-1]["val_spearman"] < best == told[-1]["best_val_spearman"]
    assert curve[told[-1]["best_epoch"] - 1]["val_spearman"] == best
    assert told[-1]["rung_scores"] == {str(result["rung"]): result["val_spearman"] for result in told}


def test_the_curve_is_told_once_point_by_point(told):
    curve = [point for result in told for point in result["curve"]]
    assert [point["epoch"] for point in curve] == list(range(1, 10))
    assert [result["curve_start"] for result in told] == [0, 1, 3]


def test_a_point_holds_the_score_of_every_replica_and_their_fisher_mean(study, told):
    point = told[0]["curve"][0]
    assert tuple(point["scores"]) == study.replica_names() == ("Ball/fold0/seed0", "Ball/fold1/seed0")
    mean = math.tanh(sum(map(math.atanh, point["scores"].values())) / 2)
    assert point["val_spearman"] == pytest.approx(mean, abs=1e-12)


def test_a_trial_is_a_function_of_its_study_and_configuration(study, told):
    assert [timeless(result) for result in ran(study, lr=2e-2)] == [timeless(result) for result in told]


def test_a_network_has_as_many_parameters_as_described(told):
    assert told[-1]["parameters"] > 1000
    assert len({result["parameters"] for result in told}) == 1


def test_trials_that_differ_in_phase_2_alone_share_their_branches(planted_shards, tmp_path):
    study = small_study(planted_shards, tmp_path)
    first, second = ran(study), ran(study, fusion_nets=5, tau_init=2.0, lr=1e-3)
    assert (first[0]["branches_trained"], first[0]["branches_loaded"]) == (6, 0)
    assert (second[0]["branches_trained"], second[0]["branches_loaded"]) == (0, 6)
    assert ran(study, stages=3)[0]["branches_trained"] == 6


def test_loaded_branches_give_the_numbers_of_trained_ones(planted_shards, study, tmp_path, told):
    elsewhere = small_study(planted_shards, tmp_path)
    assert [timeless(result) for result in ran(elsewhere, lr=2e-2)] == [timeless(result) for result in told]


def test_a_diverged_network_ends_its_trial_at_once(planted_shards, tmp_path):
    study = small_study(planted_shards, tmp_path, "search.lr.high=10", "fixed.weight_decay=1")
    told = ran(study, lr=10.0)
    assert told[-1]["done"]
    assert told[-1]["rung"] == -1
    assert math.isnan(told[-1]["val_spearman"])
    assert told[-1]["status_reason"].startswith("diverged: ")
    assert "Ball/fold" in told[-1]["status_reason"]
    assert told[-1]["progress"] < 1


def test_an_absurd_learning_rate_ends_a_trial_with_a_reason(planted_shards, tmp_path):
    told = ran(small_study(planted_shards, tmp_path, "search.lr.high=10"), lr=10.0)
    assert told[-1]["done"]
    assert math.isnan(told[-1]["val_spearman"])
    assert told[-1]["status_reason"].startswith(("constant: ", "diverged: "))


def reported(trial: Trial, progress: float, *, constant: list[bool], ended: list[str] | None = None) -> dict[str, Any]:
    """Gives a trial of two replicas the report of a milestone, as a training would."""
    scores = [0.0 if flag else 0.5 for flag in constant]
    report = Report(progress, [1, 1], [0.1, 0.1], scores, constant, ended or ["", ""])
    trial._complete(found(progress, trial.networks.names, [report]))
    return trial.curve[-1]


def test_constant_predictions_of_most_replicas_end_a_trial_at_a_rung(study):
    trial = Trial(study, CONFIG)
    between = reported(trial, 2 / 9, constant=[True, True])
    assert (between["constant"], between["val_spearman"], trial.reason) == (2, 0.0, "")
    reported(trial, 3 / 9, constant=[True, True])
    assert trial.reason == "constant: 2 of 2 replicas predict one value for all videos"
    assert trial.rung_scores == {}


def test_a_constant_half_of_the_replicas_counts_as_zero_and_the_trial_goes_on(study):
    trial = Trial(study, CONFIG)
    point = reported(trial, 3 / 9, constant=[True, False])
    assert point["constant"] == 1
    assert point["val_spearman"] == pytest.approx(math.tanh(math.atanh(0.5) / 2))
    assert trial.reason == ""
    assert trial.rung_scores == {"1": point["val_spearman"]}


def test_one_ended_replica_of_two_ends_the_trial_between_rungs_as_well(study):
    trial = Trial(study, CONFIG)
    reported(trial, 2 / 9, constant=[False, False], ended=["", "diverged: the training loss is not finite"])
    assert trial.reason == "diverged: the training loss is not finite (Ball/fold1/seed0)"


def test_a_branch_that_diverges_ends_its_trial_with_the_branch_named(planted_shards, tmp_path):
    study = small_study(
        planted_shards, tmp_path, "fixed.phase1_lr=10", "fixed.phase1_weight_decay=1", "fixed.phase1_epochs=40"
    )
    (told,) = ran(study)
    assert told["done"]
    assert math.isnan(told["val_spearman"])
    assert told["status_reason"] == (
        "diverged: the training loss is not finite (rgb branch of Ball/fold0/seed0 and 1 more)"
    )
    assert told["curve"] == []
    assert not list((tmp_path / "branches").glob("*.lease"))


def test_one_stage_training_needs_no_branches(planted_shards, tmp_path):
    study = small_study(planted_shards, tmp_path, "fixed.phases=one")
    told = ran(study)
    assert [result["rung"] for result in told] == [0, 1, 2]
    assert (told[-1]["branches_trained"], told[-1]["branches_loaded"]) == (0, 0)
    assert not (tmp_path / "branches").exists()


def test_classes_may_have_budgets_of_their_own(planted_shards, tmp_path):
    study = small_study(planted_shards, tmp_path, "data.action=[Ball, Hoop]", "fixed.epochs={Ball: 9, Hoop: 4}")
    trial = Trial(study, CONFIG)
    told = results(trial)
    assert [result["epoch"] for result in told] == [1, 3, 9]
    assert tuple(told[-1]["curve"][-1]["scores"]) == study.replica_names()
    assert [training.epochs for training in trial.networks._cohort._trainings] == [[9, 9, 4, 4]]


def test_replicas_that_do_not_fit_side_by_side_are_trained_one_after_the_other(planted_shards, tmp_path, monkeypatch):
    sets = ("data.action=[Ball, Hoop]", "fixed.epochs={Ball: 9, Hoop: 4}")
    together = ran(small_study(planted_shards, tmp_path, *sets))
    monkeypatch.setattr(cohort, "replicas_at_once", lambda *_: 3)
    apart = ran(small_study(planted_shards, tmp_path, *sets))
    assert [result["epoch"] for result in apart] == [1, 3, 9]
    assert apart[0]["val_spearman"] == pytest.approx(together[0]["val_spearman"], abs=0.02)
    assert tuple(apart[-1]["curve"][-1]["scores"]) == tuple(together[-1]["curve"][-1]["scores"])


def test_a_long_rung_is_reported_in_between(study, monkeypatch):
    monkeypatch.setattr(trials, "CHECKPOINT_SECONDS", 0.0)
    told = ran(study, lr=2e-2)
    assert [result["rung"] for result in told] == [0, -1, 1, *[-1] * 5, 2]
    assert [result["epoch"] for result in told] == list(range(1, 10))
    assert told[1]["rung_scores"] == {"0": told[0]["val_spearman"]}
