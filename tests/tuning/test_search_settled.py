"""When another trial is no longer worth its time, and how sure a trial's score is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tuning.domains import FloatDomain
from tuning.search.noise import standard_error
from tuning.search.proposing import Observation
from tuning.search.region import Region
from tuning.search.settled import LEAST, settled

REGION = Region(
    {"lr": FloatDomain(type="float", low=0.0, high=1.0), "tau": FloatDomain(type="float", low=0.0, high=1.0)}
)


def observations(count, error, seed=0):
    generator = np.random.default_rng(seed)
    configs = [REGION.draw(generator) for _ in range(count)]
    return [
        Observation(c, {0: 0.6 - 0.3 * (c["lr"] - 0.5) ** 2 - 0.3 * (c["tau"] - 0.5) ** 2}, "ended", error=error)
        for c in configs
    ]


def test_a_study_whose_best_is_sure_goes_on_while_there_is_something_to_gain():
    few = observations(LEAST, error=1e-7)
    assert settled(REGION, few) is None


def test_a_study_ends_once_the_gain_is_below_the_noise_and_says_both():
    reason = settled(REGION, observations(40, error=0.05))
    assert reason.startswith("another trial is expected to gain 0.0")
    assert "less than the score's standard error of 0.0500 (Fisher z, after 40 trials)" in reason


def test_too_few_trials_settle_nothing():
    assert settled(REGION, observations(LEAST - 1, error=10.0)) is None


def test_noise_that_is_not_known_settles_nothing():
    assert settled(REGION, observations(40, error=None)) is None


def test_nothing_searched_settles_nothing():
    assert settled(Region({}), [Observation({}, {0: 0.5}, error=9.0)] * 40) is None


def test_the_standard_error_is_that_of_the_mean_over_classes_of_means_over_folds():
    z = {"a": [0.1, 0.3, 0.5], "b": [0.2, 0.2, 0.8]}
    scores = {f"{task}/fold{i}/seed0": math.tanh(v) for task, values in z.items() for i, v in enumerate(values)}
    by_hand = math.sqrt(sum(np.var(values, ddof=1) / 3 for values in z.values())) / 2
    assert standard_error(scores) == pytest.approx(by_hand)


def test_seeds_of_one_fold_count_as_one():
    one = {"a/fold0/seed0": 0.5, "a/fold1/seed0": 0.7}
    two = {name.replace("seed0", f"seed{seed}"): score for name, score in one.items() for seed in range(2)}
    assert standard_error(two) == pytest.approx(standard_error(one))


@pytest.mark.parametrize("scores", [{}, {"a/fold0/seed0": 0.5}, {"a/fold0/seed0": 0.5, "a/fold1/seed0": math.nan}])
def test_a_single_fold_or_a_nan_leaves_the_error_unknown(scores):
    assert standard_error(scores) is None
