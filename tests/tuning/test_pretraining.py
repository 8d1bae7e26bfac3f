"""Phase 1 through the store: which branches are one and the same, and what comes with them."""

from __future__ import annotations

import math

import pytest
import torch
from planted_study import CONFIG, small_study

from tuning.branches import BranchStore
from tuning.pretraining import HELD_OUT, Pretraining
from tuning.study_data import training_data


def pretraining(study, **changes) -> Pretraining:
    data = training_data(study, "cpu")
    recipe = study.space.recipe(CONFIG | changes)
    return Pretraining(recipe, data.replicas, data.bank, data.contents, BranchStore(study.branch_store))


@pytest.fixture
def study(planted_shards, tmp_path):
    return small_study(planted_shards, tmp_path)


def test_every_modality_and_replica_has_a_branch_of_its_own(study):
    keys = pretraining(study).keys
    assert list(keys) == ["rgb", "flow", "audio"]
    assert len({key for mine in keys.values() for key in mine}) == 6


@pytest.mark.parametrize("change", [{"fusion_nets": 7}, {"tau_init": 3.0}, {"lr": 1e-3}])
def test_settings_of_phase_2_do_not_change_a_branch(study, change):
    assert pretraining(study, **change).keys == pretraining(study).keys


@pytest.mark.parametrize(
    "change", ["fixed.width=4", "fixed.phase1_lr=0.02", "fixed.batch_size=8", "fixed.target=quantile", "seed=1"]
)
def test_what_phase_1_depends_on_changes_every_branch(planted_shards, tmp_path, study, change):
    other = small_study(planted_shards, tmp_path, change)
    mine, others = pretraining(study).keys, pretraining(other).keys
    assert not {key for keys in mine.values() for key in keys} & {key for keys in others.values() for key in keys}


def test_a_study_with_more_folds_or_other_finals_keeps_the_branches_it_shares(planted_shards, tmp_path, study):
    final = small_study(planted_shards, tmp_path, "final.top=1", "budget.trials=3", "scheduler.reduction=2")
    assert pretraining(final).keys == pretraining(study).keys


def test_branches_come_with_their_score_on_the_held_out_fold(study):
    first = pretraining(study)
    states, scores = first.branches()
    assert first.trained == 6
    assert all(-1 <= score <= 1 for mine in scores.values() for score in mine)
    assert all(HELD_OUT not in state for mine in states.values() for state in mine)
    again = pretraining(study)
    loaded, same = again.branches()
    assert again.trained == 0
    assert same == scores
    for modality, mine in states.items():
        for state, other in zip(mine, loaded[modality], strict=True):
            assert all(torch.equal(value, other[name]) for name, value in state.items())


def test_branches_of_some_replicas_leave_the_others_untrained(study):
    first = pretraining(study)
    states, scores = first.branches([1])
    assert [len(mine) for mine in (*states.values(), *scores.values())] == [1] * 6
    assert (first.trained, first.loaded) == (3, 0)
    assert all(not BranchStore(study.branch_store).path(keys[0]).exists() for keys in first.keys.values())
    _, scores = first.branches()
    assert (first.trained, first.loaded) == (6, 0)
    assert first.branches([1])[1] == {modality: mine[1:] for modality, mine in scores.items()}
    again = pretraining(study)
    again.branches([0])
    again.branches()
    assert (again.trained, again.loaded) == (0, 6)


def test_a_damaged_branch_is_trained_again(study):
    states, _ = pretraining(study).branches()
    key = pretraining(study).keys["flow"][1]
    BranchStore(study.branch_store).path(key).write_bytes(b"half")
    again = pretraining(study)
    loaded, scores = again.branches()
    assert again.trained == 1
    assert not math.isnan(scores["flow"][1])
    for name, value in states["flow"][1].items():  # trained alone this time: equal up to rounding
        torch.testing.assert_close(loaded["flow"][1][name], value, rtol=1e-3, atol=1e-4)
