"""Which settings matter: what is planted is found, and nothing is found where nothing is."""

from __future__ import annotations

import dataclasses
import random

import pytest
from large_study import large

from tuning.domains import ChoiceDomain, FloatDomain
from tuning.report.importance import FEWEST, importances
from tuning.space_model import Space


def space(**changes) -> Space:
    domains = {
        "lr": FloatDomain(type="float", low=1e-4, high=1e-2, log=True),
        "tau_init": FloatDomain(type="float", low=1.0, high=20.0),
        "query_layers": ChoiceDomain(type="choice", values=(1, 2, 3)),
    }
    return Space(search={**domains, **changes})


def trials(count: int, seed: int = 0):
    """Random configurations with names of their own."""
    example, draw = large()[0].trials[0], random.Random(seed)
    return [
        dataclasses.replace(
            example,
            trial_id=f"{i:04d}",
            values={
                "lr": 10 ** draw.uniform(-4, -2),
                "tau_init": draw.uniform(1, 20),
                "query_layers": draw.choice((1, 2, 3)),
            },
        )
        for i in range(count)
    ]


def shares(found):
    return {one.name: one for one in found.settings}


def test_the_setting_that_decides_is_found_and_the_others_are_not():
    ranked = sorted(trials(80), key=lambda trial: abs(trial.values["tau_init"] - 6))
    found = shares(importances(space(), ranked))
    assert found["tau_init"].share > 0.7
    assert [name for name, one in found.items() if one.sure] == ["tau_init"]
    assert sum(one.share for one in found.values()) == pytest.approx(1)


def test_a_choice_that_decides_is_found():
    ranked = sorted(trials(80), key=lambda trial: trial.values["query_layers"] != 2)
    assert importances(space(), ranked).settings[0].name == "query_layers"


def test_of_trials_in_any_order_hardly_a_setting_is_taken_for_important():
    sure = [one.sure for seed in range(8) for one in importances(space(), trials(60, seed)).settings]
    assert sum(sure) <= 4  # 24 settings that mean nothing, each with one chance in twenty: five are had in a hundred


def test_a_setting_that_mattered_to_some_trials_alone_counts_there():
    conditional = space(tau_init=FloatDomain(type="float", low=1.0, high=20.0, when={"query_layers": [2, 3]}))
    ranked = sorted(trials(80), key=lambda trial: trial.values["lr"])
    assert importances(conditional, ranked).settings[0].name == "lr"


def test_few_trials_or_a_single_setting_say_nothing():
    assert importances(space(), trials(FEWEST - 1)) is None
    alone = Space(search={"lr": FloatDomain(type="float", low=1e-4, high=1e-2, log=True)})
    assert importances(alone, trials(40)) is None


def test_the_same_trials_have_the_same_importances():
    assert importances(space(), trials(30)) == importances(space(), trials(30))
