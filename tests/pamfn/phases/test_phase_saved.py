"""Saved networks score as they did before they were saved, and damaged ones are refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phase_cases import planted, replica, small, training_of

from pamfn.data.bank import Bank
from pamfn.phases.saved import SavedNetworks, load_networks, save_networks
from pamfn.phases.scoring import predict
from pamfn.phases.training import Training
from pamfn.recipe import Recipe
from pamfn.replicas.cut import cut

FEATURES = planted()
BANK = Bank.of(FEATURES)
REPLICAS = [replica(FEATURES, 9), replica(FEATURES, 10, first=9, seed=2, task="Hoop")]


def trained(settings: Recipe) -> Training:
    training = training_of(settings.phases, settings, REPLICAS, BANK)
    list(training.run([0.5], score=False))
    return training


def saved(folder: Path, training: Training, settings: Recipe) -> SavedNetworks:
    names = [r.name for r in training.replicas]
    states = [cut(training.network, i) for i in range(len(names))]
    networks = SavedNetworks(settings, dict(BANK.widths), names, training.targets, states)
    save_networks(folder, networks)
    return networks


@pytest.mark.parametrize(
    "settings",
    [
        small(epochs={"Ball": 4, "Hoop": 2}, target="quantile"),
        small("released", standardise=True, evaluation_noise=False),
        small(phases="one", fine_tuned=(), stages=3),
    ],
)
def test_a_round_trip_gives_the_same_scores_exactly(settings: Recipe, tmp_path: Path) -> None:
    training = trained(settings)
    saved(tmp_path / "new" / "folder", training, settings)
    loaded = load_networks(tmp_path / "new" / "folder")
    assert (loaded.recipe, loaded.widths, loaded.targets) == (settings, BANK.widths, training.targets)
    assert list(loaded.widths) == list(BANK.widths)  # the order of the streams is part of the network
    assert loaded.names == ["Ball/fold0/seed1", "Hoop/fold0/seed2"]
    videos = [np.arange(20), np.arange(10, 30)]
    for mine, theirs in zip(predict(loaded.network(), BANK, videos), training.predict(videos), strict=True):
        assert np.array_equal(mine, theirs)


def test_a_subset_of_networks_scores_as_they_did(tmp_path: Path) -> None:
    settings = small(phases="one")
    training = trained(settings)
    networks = saved(tmp_path, training, settings)
    second = SavedNetworks(settings, networks.widths, networks.names[1:], networks.targets[1:], networks.states[1:])
    (scores,) = predict(second.network(), BANK, [np.arange(10)])
    np.testing.assert_allclose(scores, training.predict([np.arange(10)] * 2)[1], atol=1e-6)


def test_saving_again_replaces_and_leaves_no_leftovers(tmp_path: Path) -> None:
    settings = small(phases="one")
    for training in (trained(settings), trained(small(phases="one", lr=1e-2))):
        networks = saved(tmp_path, training, settings)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["networks.json", "networks.safetensors"]
    assert load_networks(tmp_path).states[0].keys() == networks.states[0].keys()


def spoil(folder: Path, how: str) -> None:
    description, weights = folder / "networks.json", folder / "networks.safetensors"
    values: dict[str, Any] = json.loads(description.read_text())
    if how == "no description":
        description.unlink()
    elif how == "no weights":
        weights.unlink()
    elif how == "truncated weights":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif how == "truncated description":
        description.write_text(description.read_text()[:-100])
    elif how == "list":
        description.write_text("[]")
    elif how == "version":
        description.write_text(json.dumps({**values, "version": 2}))
    elif how == "names":
        description.write_text(json.dumps({name: value for name, value in values.items() if name != "names"}))
    elif how == "recipe":
        description.write_text(json.dumps({**values, "recipe": {**values["recipe"], "width": 3}}))
    elif how == "setting":
        description.write_text(json.dumps({**values, "recipe": {**values["recipe"], "widht": 8}}))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no description", r"networks\.json: cannot be read \(.*No such file"),
        ("no weights", r"networks\.safetensors: cannot be read as weights \(.*No such file"),
        ("truncated weights", r"networks\.safetensors: cannot be read as weights \("),
        ("truncated description", r"networks\.json: cannot be read \("),
        ("list", r"networks\.json: version None is not 1"),
        ("version", r"networks\.json: version 2 is not 1"),
        ("names", r"networks\.json: does not describe networks \('names'\)"),
        ("recipe", r"networks\.json: does not describe networks \(width: 3 is outside 4 to 4096\)"),
        ("setting", r"networks\.json: does not describe networks \(.*'widht'\)"),
    ],
)
def test_a_damaged_folder_is_refused_in_one_line(how: str, message: str, tmp_path: Path) -> None:
    saved(tmp_path, trained(small(phases="one", epochs=1)), small(phases="one"))
    spoil(tmp_path, how)
    with pytest.raises(ValueError, match=message) as refused:
        load_networks(tmp_path)
    assert "\n" not in str(refused.value)


def test_networks_without_all_their_weights_are_refused(tmp_path: Path) -> None:
    settings = small(phases="one", epochs=1)
    networks = saved(tmp_path, trained(settings), settings)
    del networks.states[1]["tau"]
    save_networks(tmp_path, networks)
    with pytest.raises(ValueError, match="the state does not fit the network: tau: missing"):
        load_networks(tmp_path).network()
