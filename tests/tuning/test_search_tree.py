"""HyperOpt's estimator over a region: conditions, constraints, and what it learns."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from tuning.constraints import parse
from tuning.domains import ChoiceDomain, FloatDomain, IntDomain
from tuning.search.region import Region
from tuning.search.tree import suggest

DOMAINS = {
    "reduction": ChoiceDomain(type="choice", values=(2, 4, 8), when={"layers": 2}),
    "layers": ChoiceDomain(type="choice", values=(1, 2)),
    "lr": FloatDomain(type="float", low=1e-4, high=1e-2, log=True),
    "floor": FloatDomain(type="float", low=1e-6, high=1e-2, log=True),
    "nets": IntDomain(type="int", low=4, high=12),
}
REGION = Region(DOMAINS, {"reduction": 1}, [parse("floor < lr")])


def score(config: dict[str, Any]) -> float:
    """The best head has two layers and a reduction of 4, and the best learning rate is 1e-3."""
    head = {1: -0.5, 2: -0.7, 4: 0.0, 8: -0.7}[config["reduction"] if config["layers"] == 2 else 1]
    return head - abs(math.log10(config["lr"]) + 3)


def observed(number: int, seed: int = 0) -> list[tuple[dict[str, Any], float]]:
    generator = np.random.default_rng(seed)
    configs = [REGION.draw(generator) for _ in range(number)]
    return [(config, score(config)) for config in configs]


@pytest.mark.parametrize("number", [0, 1, 12])
def test_a_suggestion_is_canonical_and_allowed_whatever_was_observed(number):
    for seed in range(8):
        config = suggest(REGION, observed(number, seed), seed=seed)
        assert config == REGION.canonical(config)
        assert REGION.faults(config) == []


def test_the_same_observations_give_the_same_suggestion():
    assert suggest(REGION, observed(12), seed=5) == suggest(REGION, observed(12), seed=5)


def test_what_an_inactive_setting_happens_to_hold_teaches_nothing():
    """The default of an inactive setting may even be a value that it has elsewhere."""
    domains = {"x": ChoiceDomain(type="choice", values=(1, 2), when={"p": "on"}),
               "p": ChoiceDomain(type="choice", values=("on", "off"))}  # fmt: skip
    suggestions = []
    for default in (1, 2):
        region = Region(domains, {"x": default})
        seen = [(region.canonical({"x": 1, "p": p}), 1.0) for p in ("off", "off", "on", "off")]
        suggestions.append([suggest(region, seen, seed=seed)["p"] for seed in range(10)])
    assert suggestions[0] == suggestions[1]


def test_a_setting_that_was_never_active_is_drawn_from_its_range():
    config = {"reduction": 1, "layers": 1, "lr": 1e-3, "floor": 1e-5, "nets": 6}
    drawn = [suggest(REGION, [(config, 0.1)] * 5, seed=seed) for seed in range(30)]
    assert {c["reduction"] for c in drawn if c["layers"] == 2} == {2, 4, 8}


def test_the_estimator_finds_the_better_branch_and_the_better_value_in_it():
    """At random one draw in six has the best head; the estimator must at least double that."""
    seen: list[tuple[dict[str, Any], float]] = list(observed(16))
    for seed in range(40):
        config = suggest(REGION, seen, seed=seed)
        seen.append((config, score(config)))
    heads = Counter((config["layers"], config["reduction"]) for config, _ in seen[16:])
    assert heads[2, 4] > 40 / 3


def test_a_constraint_that_hardly_anything_satisfies_is_still_satisfied():
    corner = Region(DOMAINS, {"reduction": 1}, [parse("nets == 12 and layers == 2 and reduction == 8")])
    assert suggest(corner, [], seed=0)["nets"] == 12


def test_failed_and_running_trials_count_as_bad():
    good = {"reduction": 1, "layers": 1, "lr": 1e-3, "floor": 1e-5, "nets": 6}
    bad = {**good, "lr": 9e-3}
    seen = [(good, 0.5)] * 3 + [(bad, None)] * 8
    lrs = [suggest(REGION, seen, seed=seed)["lr"] for seed in range(20)]
    assert np.median(lrs) < 5e-3
