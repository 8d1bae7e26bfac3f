"""Final networks: trained on the training split alone, with the test split scored on the way to no effect."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch
from final_rows import CANDIDATE, two_classes
from planted_study import CONFIG, small_study

from pamfn.phases.saved import load_networks
from tuning.branches import BranchStore
from tuning.selection import training
from tuning.selection.choosing import Candidate
from tuning.selection.training import CURVE, folder_of, read_curve, train_final


@pytest.fixture(scope="module", name="trained")
def _trained(planted_shards, tmp_path_factory):
    study = two_classes(planted_shards, tmp_path_factory.mktemp("studies"))
    train_final(study, CANDIDATE)
    return study


def test_networks_are_trained_for_every_class_and_seed(trained):
    names = ["Ball/all/seed0", "Ball/all/seed1", "Hoop/all/seed0", "Hoop/all/seed1"]
    assert load_networks(folder_of(trained, CANDIDATE)).names == names


def test_the_test_split_is_scored_at_every_milestone(trained):
    curve = read_curve(folder_of(trained, CANDIDATE))
    assert curve["milestones"] == list(trained.milestones(trained.space.recipe(CONFIG)))
    assert len(curve["milestones"]) == 9
    assert list(curve["scores"]) == load_networks(folder_of(trained, CANDIDATE)).names
    assert all(len(mine) == 9 and all(map(math.isfinite, mine)) for mine in curve["scores"].values())


def test_scoring_the_test_split_on_the_way_changes_no_weight(planted_shards, trained, tmp_path, monkeypatch):
    run = training.Training.run

    def blind(self, milestones, *, score=True):
        for report in run(self, [1.0], score=False):
            yield dataclasses.replace(report, scores=[0.0] * len(self.replicas))

    monkeypatch.setattr(training.Training, "run", blind)
    unscored = two_classes(planted_shards, tmp_path)
    train_final(unscored, CANDIDATE)
    with_scores, without = (load_networks(folder_of(s, CANDIDATE)).states for s in (trained, unscored))
    for one, other in zip(with_scores, without, strict=True):
        assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_no_branch_in_the_store_knows_of_the_test_split(trained):
    files = list(Path(trained.branch_store).glob("*.safetensors"))
    assert len(files) == 3 * 4
    found = BranchStore(trained.branch_store).fetch([path.stem for path in files], lambda keys: iter(()), chunk=1)
    assert all(math.isnan(float(branch["held_out_spearman"])) for branch in found.values())


def test_networks_of_another_configuration_under_the_same_id_are_trained_again(planted_shards, tmp_path):
    study = two_classes(planted_shards, tmp_path)
    train_final(study, CANDIDATE)
    other = dataclasses.replace(CANDIDATE, config={**CANDIDATE.config, "lr": 1e-3})
    assert train_final(study, other) > 0.0
    assert load_networks(folder_of(study, other)).recipe == study.space.recipe(other.config)


def test_networks_that_are_there_are_not_trained_again(trained):
    folder = folder_of(trained, CANDIDATE)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert train_final(trained, CANDIDATE) == 0.0
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_networks_without_their_curve_are_trained_again_to_the_same_numbers(trained):
    path = folder_of(trained, CANDIDATE) / CURVE
    before = json.loads(path.read_text())
    path.unlink()
    assert train_final(trained, CANDIDATE) > 0
    assert json.loads(path.read_text()) == before


def test_networks_of_another_number_of_seeds_are_trained_anew(planted_shards, trained):
    more = two_classes(planted_shards, Path(trained.root), "final.seeds=3")
    assert train_final(more, CANDIDATE) > 0
    assert len(load_networks(folder_of(more, CANDIDATE)).names) == 6
    train_final(trained, CANDIDATE)


def test_a_network_that_diverges_is_named(planted_shards, tmp_path):
    study = small_study(planted_shards, tmp_path, "search.lr.high=10", "fixed.weight_decay=1")
    with pytest.raises(ValueError, match=r"final training of trial a: diverged: .* \(Ball/all/seed\d"):
        train_final(study, Candidate(1, "a", CONFIG | {"lr": 10.0}, 0.4))
