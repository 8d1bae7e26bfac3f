"""A trial whose first folds go ahead: what it tells of them, and that it comes to the same as one that trains all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from planted_study import CONFIG, results, small_study, timeless
from safetensors.torch import load_file

from pamfn.metrics import fisher_mean
from tuning import cohort
from tuning import trial as trials
from tuning.search.folds import FirstFolds, waits_for_folds
from tuning.trial import Trial
from tuning.trial_files import BEST, LAST

FOLDS = ("data.action=[Ball, Hoop]", "evaluation.folds=3", "scheduler.grace_epochs=3", "fixed.phase1_epochs=1")
AHEAD = "evaluation.first_folds=1"
"""Six networks a trial; the rungs are at epochs 3 and 9, and at either rung all three milestones before it count."""


@pytest.fixture(scope="module", name="root")
def _root(tmp_path_factory):
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(scope="module", name="study")
def _study(planted_shards, root):
    return small_study(planted_shards, root, *FOLDS, AHEAD)


@pytest.fixture(scope="module", name="together")
def _together(planted_shards, root):
    return results(Trial(small_study(planted_shards, root, *FOLDS), CONFIG))


@pytest.fixture(scope="module", name="kept")
def _kept(study, tmp_path_factory):
    """Returns every result of a trial, and the checkpoint behind each."""
    trial, told = Trial(study, CONFIG), []
    while not told or not told[-1][0]["done"]:
        result, folder = trial.advance(), tmp_path_factory.mktemp("checkpoint")
        trial.save(folder)
        told.append((result, folder))
    return told


@pytest.fixture(name="told")
def _told(kept):
    return [result for result, _ in kept]


def test_the_first_folds_report_at_the_first_rung_before_the_others_train(told):
    assert [result["rung"] for result in told] == [-1, 0, 1]
    assert [result["folds"] for result in told] == [{"done": 1, "of": 3}, {"done": 3, "of": 3}, {"done": 3, "of": 3}]
    assert [waits_for_folds(result) for result in told] == [True, False, False]
    assert [result["done"] for result in told] == [False, False, True]


def test_what_the_first_folds_score_is_no_score_of_the_trial(told):
    first = told[0]
    assert (first["val_spearman"], first["best_val_spearman"], first["curve"]) == (None, None, [])
    assert (first["epoch"], first["progress"], first["rung_scores"], first["status_reason"]) == (0, 0.0, {}, "")
    assert list(first["fold_scores"]) == ["0"]


def test_a_fold_scores_the_fisher_mean_of_its_classes_and_seeds(told):
    point = told[1]["curve"][-1]
    assert told[1]["fold_scores"] == {
        fold: fisher_mean([point["scores"][f"{action}/fold{fold}/seed0"] for action in ("Ball", "Hoop")])
        for fold in ("0", "1", "2")
    }
    assert told[0]["fold_scores"]["0"] == told[1]["fold_scores"]["0"]


def test_the_curve_has_every_milestone_once_with_all_replicas(study, told):
    assert [result["curve_start"] for result in told] == [0, 0, 3]
    curve = [point for result in told for point in result["curve"]]
    assert [point["epoch"] for point in curve] == list(range(1, 10))
    assert {tuple(point["scores"]) for point in curve} == {study.replica_names()}


def test_folds_one_after_the_other_come_to_the_same_as_all_together_up_to_rounding(told, together):
    # Programs of two, four and six networks may be given other matrix kernels than one of six: 3e-6 in the weights
    # after six steps. A correlation moves only where two videos of nearly one score change places.
    apart = [point for result in told for point in result["curve"]]
    assert [point["loss"] for point in apart] == pytest.approx(
        [point["loss"] for result in together for point in result["curve"]], rel=1e-3
    )
    assert told[1]["val_spearman"] == pytest.approx(together[0]["val_spearman"], abs=0.02)
    assert told[2]["val_spearman"] == pytest.approx(together[1]["val_spearman"], abs=0.02)


def test_one_network_ahead_by_itself_comes_to_the_same_up_to_rounding(planted_shards, root):
    # A single network is where kernels differ most. At learning rates that shake the weights about, far above this one,
    # the difference grows within a few steps.
    sets = (*FOLDS, "data.action=Ball", "fixed.epochs=3")
    together, ahead = (
        results(Trial(small_study(planted_shards, root, *sets, *more), CONFIG)) for more in ((), (AHEAD,))
    )
    assert ahead[0]["fold_scores"]["0"] == pytest.approx(together[0]["fold_scores"]["0"], abs=0.02)
    assert [point["loss"] for point in ahead[1]["curve"]] == pytest.approx(
        [point["loss"] for point in together[0]["curve"]], rel=1e-3
    )


def test_the_best_weights_are_of_a_milestone_at_which_all_stood(kept):
    result, folder = kept[1]
    assert not (kept[0][1] / BEST).exists()
    assert (result["best_epoch"], result["best_val_spearman"]) == (3, result["val_spearman"])
    best, last = load_file(folder / BEST), load_file(folder / LAST)
    assert best.keys() == last.keys()
    assert all(torch.equal(value, last[name]) for name, value in best.items())


@pytest.mark.parametrize("part", [0, 1])
def test_a_trial_killed_between_its_parts_does_not_train_the_first_again(study, kept, part, monkeypatch):
    trained: list[list[str]] = []
    train = cohort.Cohort.train
    monkeypatch.setattr(cohort.Cohort, "train", lambda self, to: (trained.append(self.names), train(self, to))[1])
    resumed = Trial(study, CONFIG)
    resumed.load(kept[part][1])
    again = results(resumed)
    assert [timeless(result) for result in again] == [timeless(result) for result, _ in kept[part + 1 :]]
    expected = [["Ball/fold1/seed0", "Ball/fold2/seed0", "Hoop/fold1/seed0", "Hoop/fold2/seed0"]] * (3 * (part == 0))
    assert trained == [*expected, *[list(study.replica_names())] * 6]


def test_a_trial_killed_within_a_part_goes_on_with_the_same_numbers(study, kept, tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "CHECKPOINT_SECONDS", 0.0)
    trial, told = Trial(study, CONFIG), []
    for attempt in range(7):  # three of the first fold, three of the others, one of all
        told.append(trial.advance())
        trial.save(saved := empty(tmp_path / str(attempt)))
        trial = Trial(study, CONFIG)
        trial.load(saved)
    assert [result["folds"]["done"] for result in told] == [0, 0, 1, 1, 1, 3, 3]
    assert [result["rung"] for result in told] == [-1, -1, -1, -1, -1, 0, -1]
    assert [result["val_spearman"] is None for result in told] == [True] * 3 + [False] * 4
    whole = [result for result, _ in kept]
    assert told[2]["fold_scores"] == told[4]["fold_scores"] == whole[0]["fold_scores"]
    assert [point for result in told for point in result["curve"]] == [*whole[1]["curve"], whole[2]["curve"][0]]
    assert timeless(told[5])["branch_val_spearman"] == whole[1]["branch_val_spearman"]


def empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_hopeless_trial_trains_neither_the_other_folds_nor_their_branches(planted_shards, tmp_path):
    study, rule = small_study(planted_shards, tmp_path, *FOLDS, AHEAD), FirstFolds()
    rule.record("0000", 0.95, {"fold_scores": {"0": 0.97, "1": 0.96, "2": 0.9}})
    trial = Trial(study, CONFIG)
    told = trial.advance()
    decision = rule.decide("0001", told)
    assert decision.reason == "stopped after 1 of 3 folds at rung 0"
    assert decision.grounds["bar"] == 0.9
    assert (told["branches_trained"], told["branches_loaded"]) == (6, 0)
    trial.save(empty(tmp_path / "checkpoint"))
    assert {name.split("/")[0] for name in load_file(tmp_path / "checkpoint" / LAST)} == {"0", "1"}


def test_parts_that_do_not_fit_side_by_side_are_trained_one_after_the_other(study, told, monkeypatch):
    monkeypatch.setattr(cohort, "replicas_at_once", lambda *_: 3)
    apart = results(Trial(study, CONFIG))
    assert [result["folds"] for result in apart] == [result["folds"] for result in told]
    assert apart[1]["val_spearman"] == pytest.approx(told[1]["val_spearman"], abs=0.02)


def test_a_network_that_diverges_among_the_first_folds_ends_the_trial(planted_shards, tmp_path):
    sets = (*FOLDS, AHEAD, "search.lr.high=10", "fixed.weight_decay=1")
    (told,) = results(Trial(small_study(planted_shards, tmp_path, *sets), CONFIG | {"lr": 10.0}))
    assert told["status_reason"].startswith("diverged: ")
    assert "/fold0/" in told["status_reason"]
    assert (told["curve"], told["folds"]) == ([], {"done": 0, "of": 3})


def test_first_folds_of_a_trial_without_early_rungs_go_ahead_to_the_full_budget(planted_shards, root):
    study = small_study(planted_shards, root, *FOLDS, AHEAD, "scheduler.type=none", "fixed.epochs=3")
    told = results(Trial(study, CONFIG))
    assert [(result["rung"], result["folds"]["done"], result["done"]) for result in told] == [
        (-1, 1, False),
        (0, 3, True),
    ]
