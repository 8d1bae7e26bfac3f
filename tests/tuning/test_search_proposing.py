"""Who proposes, in which turn, and what a study learns from another."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest

from tuning.domains import FloatDomain, IntDomain
from tuning.search.comparable import moved_to
from tuning.search.proposing import BORROWED, FADES, Observation, propose
from tuning.search.region import Region, spelled

REGION = Region(
    {
        "lr": FloatDomain(type="float", low=1e-4, high=1e-2, log=True),
        "fusion_nets": IntDomain(type="int", low=2, high=40),
    }
)
FIRST = {"lr": 1e-3, "fusion_nets": 10}


@dataclass
class Asked:
    searcher: str = "hyperopt+gp"
    warmup: int = 6
    first: dict = field(default_factory=lambda: dict(FIRST))
    points: tuple = ()
    prior: tuple = ()


def quality(config):
    return math.tanh(1 - math.log10(config["lr"] / 3e-3) ** 2 - ((config["fusion_nets"] - 25) / 15) ** 2)


def observed(count, seed=0, shift=0.0):
    generator = np.random.default_rng(seed)
    configs = [REGION.draw(generator) for _ in range(count)]
    return tuple(Observation(c, {0: math.tanh(math.atanh(quality(c)) + shift)}, "ended") for c in configs)


def proposals(settings, count):
    """Runs trials one after the other, and returns who proposed each."""
    held, by = [], []
    for number in range(count):
        proposal = propose(REGION, held, number=number, seed=3, settings=settings)
        held.append(Observation(proposal.config, {0: quality(proposal.config)}, "ended"))
        by.append(proposal.by)
    return by, held


def test_both_models_propose_by_turns_after_the_random_ones():
    by, _ = proposals(Asked(), 10)
    assert by == ["first", *["random"] * 5, "gp", "hyperopt", "gp", "hyperopt"]


@pytest.mark.parametrize("searcher", ["hyperopt", "gp"])
def test_a_model_can_propose_alone(searcher):
    by, _ = proposals(Asked(searcher=searcher), 9)
    assert by[6:] == [searcher] * 3


def test_the_gaussian_process_leaves_its_turn_to_chance_while_no_two_scores_differ():
    same = [Observation(o.config, {0: 0.5}, "ended") for o in observed(8)]
    assert propose(REGION, same, number=8, seed=0, settings=Asked()).by == "random"


@pytest.mark.parametrize("searcher", ["hyperopt+gp", "hyperopt", "gp"])
def test_no_configuration_is_proposed_twice_though_the_best_lies_in_a_corner(searcher):
    held = []
    for number in range(40):
        proposal = propose(REGION, held, number=number, seed=1, settings=Asked(searcher=searcher))
        score = math.tanh(math.log10(proposal.config["lr"]) / 4 + 0.8 + proposal.config["fusion_nets"] / 40)
        held.append(Observation(proposal.config, {0: score}, "ended"))
    assert len({spelled(o.config) for o in held}) == 40


def test_two_models_by_turns_find_better_points_than_chance():
    _, modelled = proposals(Asked(), 24)
    _, drawn = proposals(Asked(searcher="random"), 24)
    assert max(o.scores[0] for o in modelled) > max(o.scores[0] for o in drawn)


def test_a_warm_start_tries_the_best_of_the_other_study_and_then_asks_the_models():
    prior = observed(20)
    by, held = proposals(Asked(prior=prior), 7)
    best = sorted(prior, key=lambda o: -o.scores[0])[:BORROWED]
    assert by == ["first", *["warm start"] * BORROWED, "gp", "hyperopt", "gp"]
    assert [o.config for o in held[1 : 1 + BORROWED]] == [o.config for o in best]


def test_a_configuration_that_both_name_is_tried_once():
    prior = (Observation(FIRST, {0: 0.9}, "ended"), *observed(5))
    by, held = proposals(Asked(prior=prior), 2)
    assert by == ["first", "warm start"]
    assert held[1].config != FIRST


def test_another_study_is_no_longer_looked_at_once_there_are_scores_enough():
    own = list(observed(FADES * 6, seed=1))
    number = len(own) + 1
    with_prior, without = (
        propose(REGION, own, number=number, seed=0, settings=Asked(prior=prior)) for prior in (observed(20), ())
    )
    assert with_prior == without


def test_scores_of_another_study_come_to_the_level_of_ones_own_and_keep_their_order():
    own, others = [0.2, 0.4, 0.3], [0.9, 0.7, 0.8, 0.95]
    moved = moved_to(own, others)
    assert np.argsort(moved).tolist() == np.argsort(others).tolist()
    assert np.arctanh(moved).mean() == pytest.approx(np.arctanh(own).mean())
    assert np.arctanh(moved).std() == pytest.approx(np.arctanh(own).std())


@pytest.mark.parametrize(("own", "others"), [([], [0.5, 0.6]), ([0.3], [0.5, 0.6]), ([0.3, 0.4], [0.5, 0.5])])
def test_scores_without_a_spread_to_go_by_stay_as_they_are(own, others):
    assert moved_to(own, others) == others
