from dataclasses import replace
from pathlib import Path

import pytest
import torch
from planted_study import small_study

from pamfn.architectures import step_flops as counted
from pamfn.data.shards import read_table_of_contents
from pamfn.recipe import recipe
from tuning.branches import BranchStore
from tuning.forecast.artefacts import artefacts_of, set_bytes
from tuning.forecast.work import final_networks, networks_of_a_trial, step_flops
from tuning.pretraining import Pretraining
from tuning.study_data import training_data

CPU = torch.device("cpu")
WIDTHS = {"rgb": 16, "flow": 16, "audio": 12}


@pytest.fixture
def study(planted_shards, tmp_path):
    return small_study(planted_shards, tmp_path, "data.action=[Ball,Hoop]", "evaluation.folds=3")


def contents(study):
    return read_table_of_contents(study.data)[1]


def recipes_of(study, **changes):
    first = study.space.first_point()
    return [study.space.recipe(first | {"stages": stages} | changes) for stages in (2, 3)]


def test_the_networks_are_those_that_a_trial_trains(study):
    mine, real = networks_of_a_trial(study, contents(study)), training_data(study, "cpu")
    assert [r.name for r in mine.replicas] == [r.name for r in real.replicas]
    for one, other in zip(mine.replicas, real.replicas, strict=True):
        assert [mine.contents.video_ids[v] for v in one.train] == [real.contents.video_ids[v] for v in other.train]
        assert [mine.contents.video_ids[v] for v in one.valid] == [real.contents.video_ids[v] for v in other.valid]
    assert mine.widths == real.bank.widths


def test_the_final_networks_train_on_the_whole_split_over_the_final_seeds(study):
    finals = final_networks(study, contents(study))
    assert [r.name for r in finals.replicas] == [f"{c}/all/seed{s}" for c in ("Ball", "Hoop") for s in (0, 1)]
    assert {len(r.train) for r in finals.replicas} == {60}


def test_steps_are_those_of_the_network_with_most(study):
    networks = networks_of_a_trial(study, contents(study))
    uneven = recipe(epochs={"Ball": 10, "Hoop": 30}, batch_size=16)  # 40 videos: 3 steps an epoch
    assert networks.steps(uneven, networks.replicas, 1.0) == 90
    assert networks.steps(uneven, networks.replicas[:3], 1.0) == 30
    assert networks.steps(uneven, networks.replicas, 0.1) == 9


def test_networks_that_the_memory_does_not_hold_train_in_groups(study, monkeypatch):
    networks = networks_of_a_trial(study, contents(study))
    monkeypatch.setattr("tuning.forecast.work.replicas_at_once", lambda *_: 4)
    assert [len(chunk) for chunk in networks.chunks(recipe(), CPU)] == [4, 2]


@pytest.mark.parametrize("design", ["attention", "trunk"])
def test_flops_of_any_number_of_fusion_nets_follow_from_two_counts(design):
    settings = recipe(width=16, clip=12, batch_size=4, stages=2, fusion_nets=7, fusion_design=design)
    assert step_flops(settings, WIDTHS) == counted(settings, WIDTHS, videos=4)


def test_flops_do_not_ask_for_rates_and_budgets():
    settings = recipe(width=16, clip=12, batch_size=4)
    assert step_flops(replace(settings, lr=1e-3, epochs={"Ball": 7}), WIDTHS) == step_flops(settings, WIDTHS)


def test_branches_are_counted_by_the_settings_that_tell_them_apart(study):
    networks = networks_of_a_trial(study, contents(study))
    needed = artefacts_of(study, networks, [recipes_of(study), recipes_of(study)[:1]])
    assert (needed.settings, needed.sets, needed.each, needed.there) == (("stages",), 2, 18, 0)
    assert needed.drawn == 1.5
    assert needed.missing == 1.5


def test_branches_in_the_store_are_found_under_the_keys_that_a_trial_asks_for(study):
    networks, data = networks_of_a_trial(study, contents(study)), training_data(study, "cpu")
    store = BranchStore(study.branch_store)
    asked = Pretraining(recipes_of(study)[0], data.replicas, data.bank, data.contents, store)
    for keys in asked.keys.values():
        for key in keys:
            store.path(key).touch()
    needed = artefacts_of(study, networks, [recipes_of(study)])
    assert needed.there == needed.each == 18
    assert needed.missing == 1


def test_counting_branches_makes_no_store(study):
    artefacts_of(study, networks_of_a_trial(study, contents(study)), [recipes_of(study)])
    assert not Path(study.branch_store).exists()


def test_one_stage_needs_no_branches(study):
    networks = networks_of_a_trial(study, contents(study))
    needed = artefacts_of(study, networks, [recipes_of(study, phases="one")])
    assert (needed.sets, needed.missing, needed.size) == (0, 0, 0)


def test_a_set_of_branches_has_the_bytes_of_their_files(study):
    networks, data = networks_of_a_trial(study, contents(study)), training_data(study, "cpu")
    settings, store = recipes_of(study)[0], BranchStore(study.branch_store)
    states, _ = Pretraining(settings, data.replicas, data.bank, data.contents, store).branches()
    written = sum(4 * t.numel() for mine in states.values() for state in mine for t in state.values())
    assert set_bytes(settings, networks) == pytest.approx(written, rel=0.02)  # counters and float64 are a few bytes
