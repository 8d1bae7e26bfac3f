"""Spearman's correlation, Fisher's average and bootstrap intervals, against scipy and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from pamfn.metrics import bootstrap_averages, fisher_mean, interval, is_constant, spearman

UNIT = st.floats(0, 1).map(lambda x: round(x, 3))
PAIRS = st.lists(st.tuples(UNIT, UNIT), min_size=2, max_size=40)
CORRELATIONS = st.lists(st.floats(-1, 1), min_size=1, max_size=20)


@given(PAIRS)
def test_spearman_is_scipys(pairs: list[tuple[float, float]]) -> None:
    predicted, truth = map(np.array, zip(*pairs, strict=True))
    assume(np.ptp(predicted) > 0 < np.ptp(truth))
    assert spearman(predicted, truth) == pytest.approx(spearmanr(predicted, truth).statistic, abs=1e-12)


@given(PAIRS, st.floats(0.1, 10), st.floats(-5, 5))
def test_only_the_order_of_annotated_scores_counts(
    pairs: list[tuple[float, float]], factor: float, shift: float
) -> None:
    predicted, truth = map(np.array, zip(*pairs, strict=True))
    assume(np.ptp(truth) > 0)
    value = spearman(predicted, truth)
    assert -1 - 1e-12 <= value <= 1 + 1e-12
    assert spearman(predicted, truth * factor + shift) == pytest.approx(value, abs=1e-12)
    assert spearman(1 - predicted, truth) == pytest.approx(-value, abs=1e-12)


def test_ties_share_their_mean_rank() -> None:
    assert spearman([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(3 / math.sqrt(10))


@pytest.mark.parametrize("spread", [0.0, 5e-8])
def test_a_constant_prediction_counts_as_zero(spread: float) -> None:
    predicted = 0.5 + spread * np.array([0, 1, 0.5, 1])
    assert is_constant(predicted)
    assert spearman(predicted, [1, 2, 3, 4]) == 0
    assert not is_constant([0.5, 0.50001])


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_prediction_that_is_not_finite_makes_it_nan(broken: float) -> None:
    assert math.isnan(spearman([0.1, broken, 0.3], [1, 2, 3]))


@pytest.mark.parametrize(
    ("predicted", "truth", "message"),
    [
        ([0.1, 0.2], [3, 3], "all 2 annotated scores are 3; a correlation needs scores that differ"),
        ([0.1], [3], r"shapes \(1,\) and \(1,\) must be equal, flat, and of at least 2 videos"),
        ([0.1, 0.2], [1, 2, 3], r"shapes \(2,\) and \(3,\)"),
        ([0.1, 0.2, 0.3], [1, math.nan, 3], "1 of 3 annotated scores are not finite"),
    ],
)
def test_what_cannot_be_correlated_is_refused(predicted: list[float], truth: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=f"spearman: {message}"):
        spearman(predicted, truth)


def test_the_average_is_fishers() -> None:
    assert fisher_mean([0.757, 0.825, 0.836, 0.846]) == pytest.approx(0.819, abs=5e-4)  # Table I, RG
    assert fisher_mean([0.754, 0.872]) == pytest.approx(0.822, abs=6e-4)  # Table I, Fis-V
    assert fisher_mean([0.5, -0.5]) == pytest.approx(0)


@given(CORRELATIONS)
def test_the_average_lies_between_the_extremes_and_does_not_depend_on_order(values: list[float]) -> None:
    clipped = np.clip(values, -0.999, 0.999)
    assert clipped.min() - 1e-9 <= fisher_mean(values) <= clipped.max() + 1e-9
    assert fisher_mean(values[::-1]) == pytest.approx(fisher_mean(values), abs=1e-9)


def test_a_perfect_correlation_is_clipped_and_does_not_rule_the_average() -> None:
    assert fisher_mean([1.0]) == pytest.approx(0.999)
    assert fisher_mean([1.0, 0.0]) == pytest.approx(math.tanh(math.atanh(0.999) / 2))


def test_one_nan_makes_the_average_nan_and_nothing_has_none() -> None:
    assert math.isnan(fisher_mean([0.5, math.nan]))
    with pytest.raises(ValueError, match="fisher_mean: no correlations to average"):
        fisher_mean([])


def correlated(n: int, rho: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal(n)
    return rho * truth + math.sqrt(1 - rho**2) * rng.standard_normal(n), truth


def test_bootstrap_draws_are_those_of_a_plain_loop() -> None:
    predicted, truth = correlated(15, 0.6)
    other, other_truth = correlated(10, 0.3, seed=1)
    given = [np.stack([predicted, predicted[::-1]]), np.stack([other, -other])], [truth, other_truth]
    draws = bootstrap_averages(*given, seed=7, draws=20)
    for draw in range(20):
        values = []
        for i, (networks, t) in enumerate(zip(*given, strict=True)):
            chosen = np.random.default_rng([7, i]).integers(0, len(t), size=(20, len(t)))[draw]
            values += [spearman(p[chosen], t[chosen]) for p in networks]
        assert draws[draw] == pytest.approx(fisher_mean(values), abs=1e-12)


def test_the_interval_of_fifty_videos_is_as_wide_as_theory_says() -> None:
    # Bonett-Wright: SE = sqrt((1 + r^2 / 2) / (n - 3)) on the z scale; at .82 and 50 videos about .68 to .90.
    # 2,000 draws and one sample of 50 leave the ends uncertain by a few hundredths.
    predicted, truth = correlated(50, 0.84, seed=3)
    point = spearman(predicted, truth)
    z, se = math.atanh(point), math.sqrt((1 + point**2 / 2) / 47)
    low, high = interval(bootstrap_averages([predicted[None]], [truth], seed=0))
    assert low == pytest.approx(math.tanh(z - 1.96 * se), abs=0.06)
    assert high == pytest.approx(math.tanh(z + 1.96 * se), abs=0.04)


def test_the_same_seed_draws_the_same_videos_so_that_differences_are_paired() -> None:
    predicted, truth = correlated(30, 0.7)
    first, second = (bootstrap_averages([predicted[None]], [truth], seed=s, draws=50) for s in (1, 1))
    assert (first == second).all()
    better = bootstrap_averages([truth[None]], [truth], seed=1, draws=50)
    assert (better > first).all()


def test_a_constant_network_is_zero_in_every_draw_and_a_broken_one_nan() -> None:
    _, truth = correlated(20, 0.5)
    constant = 0.5 + 5e-8 * np.random.default_rng(0).random((1, 20))
    assert (bootstrap_averages([constant], [truth], seed=0, draws=30) == 0).all()
    broken = np.where(np.arange(20) == 3, np.nan, truth)[None]
    draws = bootstrap_averages([broken], [truth], seed=0, draws=30)
    chosen = np.random.default_rng([0, 0]).integers(0, 20, size=(30, 20))
    assert (np.isnan(draws) == (chosen == 3).any(1)).all()


def test_an_interval_is_of_percentiles() -> None:
    assert interval(np.arange(101), level=0.9) == pytest.approx((5.0, 95.0))
