"""Phase 1: what decides a branch, and statistics of its training fold."""

from __future__ import annotations

import numpy as np
import pytest
from phase_cases import WIDTHS, planted, pretrained, replica, same, small, training_of

from pamfn.data.bank import Bank
from pamfn.model.network import PAMFN
from pamfn.phases import branches as phase1
from pamfn.phases.branches import branch_settings, branch_states, branch_training
from pamfn.phases.fusion import fusion_training
from pamfn.recipe import BRANCH_SETTINGS, recipe
from pamfn.replicas.cut import cut

FEATURES = planted()
BANK = Bank.of(FEATURES)
REPLICAS = [replica(FEATURES, 9), replica(FEATURES, 10, first=9, seed=2)]


def test_only_the_settings_of_a_branch_decide_what_it_is() -> None:
    assert set(branch_settings(recipe())) == set(BRANCH_SETTINGS)
    assert branch_settings(recipe(fusion_nets=4, tau_init=3.0, lr=1e-3, epochs=9)) == branch_settings(recipe())
    for name, value in (("stages", 2), ("phase1_lr", 0.02), ("standardise", True), ("target", "quantile"), ("clip", 5)):
        assert branch_settings(recipe(**{name: value})) != branch_settings(recipe())


def test_the_same_settings_seed_and_videos_give_the_same_branch() -> None:
    one, other = (pretrained(settings, REPLICAS, BANK) for settings in (small(), small(fusion_nets=2, lr=1e-3)))
    for modality in WIDTHS:
        assert all(same(a, b) for a, b in zip(one[modality], other[modality], strict=True))
    assert not same(one["rgb"][0], one["rgb"][1])


@pytest.mark.parametrize("room", [64, 3])
def test_standardisation_is_numpys_over_the_training_folds_segments(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phase1, "MOMENTS_ROOM", room)
    states = pretrained(small(standardise=True), REPLICAS, BANK)
    for modality in WIDTHS:
        for mine, state in zip(REPLICAS, states[modality], strict=True):
            rows = FEATURES.features[modality][FEATURES.rows(mine.train)].astype(np.float64)
            np.testing.assert_allclose(state["standardise.mean"], rows.mean(0), rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(state["standardise.scale"], 1 / rows.std(0), rtol=1e-5)


def test_a_column_that_never_changes_is_centred_and_not_divided() -> None:
    features = planted()
    features.features["flow"][:, 2] = 5
    training = branch_training(small(standardise=True), "flow", REPLICAS, Bank.of(features))
    state = branch_states(training)[0]
    assert state["standardise.mean"][2] == 5
    assert state["standardise.scale"][2] == 1


def test_the_statistics_stay_in_the_networks_state() -> None:
    settings = small(standardise=True)
    states = pretrained(settings, REPLICAS, BANK)
    training = fusion_training(settings, REPLICAS, BANK, states)
    list(training.run([0.5], score=False))
    for i in range(len(REPLICAS)):
        state = cut(training.network, i)
        for modality in WIDTHS:
            assert (state[f"branches.{modality}.standardise.mean"] == states[modality][i]["standardise.mean"]).all()
    one_stage = training_of("one", small(standardise=True, phases="one"), REPLICAS, BANK)
    assert (cut(one_stage.network, 1)["branches.rgb.standardise.mean"] == states["rgb"][1]["standardise.mean"]).all()


def test_no_statistics_are_kept_where_nothing_is_standardised() -> None:
    assert not [name for name in pretrained(small(), REPLICAS, BANK)["rgb"][0] if "standardise" in name]


def test_a_branch_is_ready_for_its_place_in_the_network() -> None:
    state = pretrained(small(), REPLICAS, BANK)["audio"][0]
    whole = cut(PAMFN(small(), WIDTHS, [0]), 0)
    prefix = "branches.audio."
    assert {name: value.shape for name, value in state.items()} == {
        name.removeprefix(prefix): value.shape for name, value in whole.items() if name.startswith(prefix)
    }


def test_its_last_epoch_is_what_phase_1_hands_on() -> None:
    training = branch_training(small(phase1_epochs=3), "rgb", REPLICAS, BANK)
    list(training.run([1 / 3, 2 / 3]))
    earlier = branch_states(training)
    list(training.run([1.0]))
    assert not same(branch_states(training)[0], earlier[0])
    assert same(branch_states(training)[0], pretrained(small(phase1_epochs=3), REPLICAS, BANK)["rgb"][0])
