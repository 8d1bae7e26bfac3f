"""What a Gaussian process makes of a study's trials, and what it proposes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tuning.constraints import parse
from tuning.domains import ChoiceDomain, FloatDomain, IntDomain
from tuning.search import gaussian
from tuning.search.region import Region

DOMAINS = {
    "fusion_nets": IntDomain(type="int", low=4, high=12),
    "lr": FloatDomain(type="float", low=1e-4, high=1e-2, log=True),
    "stages": ChoiceDomain(type="choice", values=[2, 3, 4]),
}
BEST = {"fusion_nets": 9, "lr": 2e-3, "stages": 3}


def quality(config):
    off = (config["fusion_nets"] - 9) ** 2 / 10 + math.log10(config["lr"] / 2e-3) ** 2 + (config["stages"] != 3)
    return math.tanh(1.0 - off)


def tried(count, seed=0, domains=DOMAINS):
    region, generator = Region(domains), np.random.default_rng(seed)
    configs = [region.draw(generator) for _ in range(count)]
    return region, [(config, quality(config), False) for config in configs]


def suggestion(region, known, seed=1):
    return gaussian.suggest(region, known, np.random.default_rng(seed))


def test_it_closes_in_on_the_best_configuration():
    region, known = tried(8)
    for round_ in range(12):
        config = suggestion(region, known, seed=round_)
        known.append((config, quality(config), False))
    best = max(known, key=lambda k: k[1])[0]
    assert best["stages"] == 3
    assert abs(best["fusion_nets"] - 9) <= 1
    assert best["lr"] == pytest.approx(2e-3, rel=0.5)


def test_the_same_observations_and_draws_give_the_same_suggestion():
    region, known = tried(10)
    assert suggestion(region, known) == suggestion(region, known)


def test_suggestions_lie_in_the_region_with_the_types_of_their_domains():
    region, known = tried(10)
    config = suggestion(region, known)
    assert not region.faults(config)
    assert [type(config[name]) for name in DOMAINS] == [int, float, int]


def test_it_keeps_away_from_a_trial_that_is_still_running():
    region, known = tried(12)
    alone = suggestion(region, known)
    beside = suggestion(region, [*known, (alone, None, False)])
    assert beside != alone


def test_trials_that_failed_lead_away_from_where_they_failed():
    region, known = tried(12)
    corner = [{"fusion_nets": 12, "lr": lr, "stages": 4} for lr in (9e-3, 8e-3, 7e-3)]
    without, failed = (
        gaussian.believe(region, [*known, *((config, None, True) for config in extra)]) for extra in ([], corner)
    )
    assert failed.gain(corner).max() < without.gain(corner).max()


@pytest.mark.parametrize("scores", [[], [0.5], [0.5] * 6, [0.5, 0.6]])
def test_scores_that_tell_nothing_apart_lead_to_no_suggestion(scores):
    region, known = tried(len(scores))
    same = [(config, score, False) for (config, *_), score in zip(known, scores, strict=True)]
    assert suggestion(region, same) is None


def test_suggestions_satisfy_the_constraints_of_the_region():
    domains = {name: DOMAINS[name] for name in ("fusion_nets", "stages")}
    region = Region(domains, constraints=[parse("fusion_nets <= 2 * stages")])
    generator = np.random.default_rng(0)
    configs = [region.draw(generator) for _ in range(10)]
    known = [(config, float(config["fusion_nets"]) / 20, False) for config in configs]
    assert region.allowed(suggestion(region, known))


def test_a_choice_has_a_column_for_each_value_and_a_number_one_between_0_and_1():
    region = Region(DOMAINS)
    made = gaussian.rows(region, [{"fusion_nets": 4, "lr": 1e-4, "stages": 4}, {**BEST, "lr": 1e-2}])
    assert made.shape == (2, 5)
    assert made[0, 2:].tolist() == [0, 0, 1]
    assert made[:, 1] == pytest.approx([0.0, 1.0])
    assert 0 <= made.min() <= made.max() <= 1


def test_true_is_not_the_number_1_among_the_values_of_a_choice():
    region = Region({"x": ChoiceDomain(type="choice", values=[True, 1])})
    assert gaussian.rows(region, [{"x": True}, {"x": 1}]).tolist() == [[1, 0], [0, 1]]


def test_a_long_study_is_modelled_by_its_latest_trials_and_its_best():
    region, known = tried(gaussian.MOST + 60)
    belief = gaussian.believe(region, known)
    assert len(belief.tried) == gaussian.MOST
    best_of_the_old = max(known[:60], key=lambda k: k[1])[0]
    assert (belief.tried == gaussian.rows(region, [best_of_the_old])).all(axis=1).any()


def test_the_gain_is_largest_where_the_best_is_and_never_negative():
    region, known = tried(30)
    belief = gaussian.believe(region, known)
    worst = min(known, key=lambda k: k[1])[0]
    gains = belief.gain([BEST, worst])
    assert gains[0] > gains[1] >= 0
