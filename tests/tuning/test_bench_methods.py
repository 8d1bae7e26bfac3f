from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pytest

from tuning.bench.methods import DEFAULT, METHODS, Variant, variant
from tuning.bench.simulation import Run, simulate
from tuning.bench.surrogate import BenchError, Curve
from tuning.domains import FloatDomain, IntDomain, contains

EPOCHS = 9
DOMAINS = {
    "lr": FloatDomain(type="float", low=1e-4, high=1e-1, log=True),
    "momentum": FloatDomain(type="float", low=0.1, high=0.9),
    "units": IntDomain(type="int", low=16, high=512, log=True),
    "layers": IntDomain(type="int", low=1, high=5),
}


def quality(config: Mapping[str, Any]) -> float:
    return 90 - 10 * abs(math.log10(config["lr"]) + 2.5) - config["layers"]


def searched(spelled: str, seed: int) -> tuple[Run, list[dict[str, Any]], dict[str, int]]:
    """Returns a run of a method on two workers, its configurations, and the epochs that each trial was trained."""
    configs: list[dict[str, Any]] = []
    epochs: dict[str, int] = {}
    method = variant(spelled).build(DOMAINS, seed=seed, workers=2, epochs=EPOCHS)

    def curve(config: Mapping[str, Any]) -> Curve:
        configs.append(dict(config))
        return Curve(quality(config) * (1 - 0.5 ** np.arange(1, EPOCHS + 1)), np.arange(1.0, EPOCHS + 1))

    class Watched:
        ask = staticmethod(method.ask)

        @staticmethod
        def report(trial: str, epoch: int, accuracy: float) -> Any:
            epochs[trial] = epoch
            return method.report(trial, epoch, accuracy)

    return simulate(Watched(), curve, workers=2, limit=40), configs, epochs


SLOW = ("syne-bore", "syne-cqr")  # they fit an ensemble of trees for every suggestion


def every(names: Iterable[str]) -> pytest.MarkDecorator:
    params = [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in names]
    return pytest.mark.parametrize("name", params)


@pytest.fixture(autouse=True)
def _installed(request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params.get("name") if hasattr(request.node, "callspec") else None
    if name and variant(name).missing:
        pytest.skip(variant(name).missing)


@every(METHODS)
def test_every_method_searches_the_space_and_again_the_same_with_the_same_seed(name: str) -> None:
    run, configs, epochs = searched(name, seed=1)
    assert all(set(config) == set(DOMAINS) for config in configs)
    assert all(contains(DOMAINS[name], value) for config in configs for name, value in config.items())
    assert run.accuracies[-1] > 60
    assert searched(name, seed=1) == (run, configs, epochs)
    other = variant(name).build(DOMAINS, seed=2, workers=2, epochs=EPOCHS).ask()
    assert other is not None
    assert dict(other.config) != configs[0]


@every(name for name, entry in METHODS.items() if entry.rungs)
def test_rungs_that_are_given_are_where_trials_end(name: str) -> None:
    run, _, epochs = searched(f"{name}@3/3", seed=0)
    counts = Counter(epochs.values())
    assert counts[3] >= 1
    assert counts[EPOCHS] >= 1
    assert run.trials - counts[3] - counts[EPOCHS] <= 2  # cut off by the end of the time


def test_random_search_trains_everything_in_full() -> None:
    run, _, epochs = searched("random", seed=0)
    assert sorted(epochs.values()) == [4, 4, *[EPOCHS] * 8]
    assert run.epochs == 80


def test_a_method_is_spelled_by_its_name_or_with_its_rungs() -> None:
    assert variant("ours") == Variant("ours")
    assert variant("syne-asha@3/4") == Variant("syne-asha", 3, 4)
    assert [str(variant(text)) for text in ("ours", "syne-asha@3/4")] == ["ours", "syne-asha@3/4"]


@pytest.mark.parametrize(
    ("spelled", "says"),
    [
        ("ray-hyperop", "ray-hyperop is no method; did you mean `ray-hyperopt`?"),
        ("ray-hyperopt@3", "'ray-hyperopt@3' must be NAME or NAME@GRACE/REDUCTION"),
        ("ray-hyperopt@0/3", "must be NAME or NAME@GRACE/REDUCTION"),
        ("random@3/3", "random@3/3 must be plain random; it has no rungs"),
    ],
)
def test_a_method_that_is_not_there_is_named_with_the_way_out(spelled: str, says: str) -> None:
    with pytest.raises(BenchError) as caught:
        variant(spelled)
    assert says in str(caught.value)


def test_a_peer_that_is_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert variant("optuna-halving@3/3").missing == (
        "optuna-halving: left out, without optuna; pip install 'pamfn-tuning[bench]'"
    )
    assert variant("random").missing == ""


def test_every_peer_is_compared_as_it_comes_and_at_its_best_rungs() -> None:
    names = [method.name for method in DEFAULT]
    assert str(DEFAULT[0]) == "ours"
    assert {names.count(name) for name in names if METHODS[name].rungs and name != "ours"} == {2}
