"""Intervals and tests over folds whose training sets overlap, and Holm's correction."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tuning.report.paired import Estimate, back, corrected, holm

VALUES = [0.5, 0.7, 0.6, 0.9, 0.8]  # mean 0.7, variance 0.025


def test_the_interval_of_five_folds_is_as_worked_by_hand() -> None:
    """(1/5 + 1/4) 0.025 = 0.01125, its root 0.106066; t(4) at 97.5% is 2.776445."""
    found = corrected(VALUES)
    assert found.mean == pytest.approx(0.7)
    assert (found.low, found.high) == pytest.approx((0.7 - 0.294486, 0.7 + 0.294486), abs=1e-6)


def test_the_test_is_as_worked_by_hand() -> None:
    """Three differences 0.1, 0.2, 0.3: error^2 = (1/3 + 1/2) 0.01, t = 2.19089 with 2 degrees of freedom."""
    t = 0.2 / math.sqrt(0.01 * 5 / 6)
    assert t == pytest.approx(2.19089, abs=1e-5)
    by_hand = 1 - t / math.sqrt(2 + t * t)  # both tails of Student's distribution with two degrees of freedom
    assert corrected([0.1, 0.2, 0.3]).p == pytest.approx(by_hand)


def test_without_overlap_it_is_the_plain_t_test_of_scipy() -> None:
    found, plain = corrected(VALUES, overlap=0.0), stats.ttest_1samp(VALUES, 0.0)
    assert found.p == pytest.approx(plain.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(plain.confidence_interval(0.95)))


def test_a_paired_test_is_that_of_the_differences() -> None:
    others = [0.4, 0.75, 0.4, 0.7, 0.6]
    found = corrected(np.subtract(VALUES, others), overlap=0.0)
    assert found.p == pytest.approx(stats.ttest_rel(VALUES, others).pvalue)


def test_the_correction_widens_the_interval_by_its_factor() -> None:
    spans = [found.high - found.low for found in (corrected(VALUES), corrected(VALUES, overlap=0.0))]
    assert spans[0] / spans[1] == pytest.approx(math.sqrt(1 + 5 / 4))


def test_overlapping_folds_are_rarely_called_different_by_luck_and_often_without_the_correction() -> None:
    """Folds that share a part of their luck, as those of cross-validation do, have a mean that is surer than it is.

    With correlation r between folds the variance of their mean is (1/J + r (J-1)/J) and that within them (1 - r); at
    r = 1/J, that of tests over all videos, the correction is exact.
    """
    rng, folds, draws = np.random.default_rng(0), 5, 4000
    shared, own = rng.standard_normal((draws, 1)), rng.standard_normal((draws, folds))
    values = math.sqrt(1 / folds) * shared + math.sqrt(1 - 1 / folds) * own
    called = [np.mean([corrected(row, overlap=overlap).p < 0.05 for row in values]) for overlap in (None, 0.0)]
    assert called[0] == pytest.approx(0.05, abs=0.0105)  # three standard errors of 4000 draws
    assert called[1] > 0.12


@pytest.mark.parametrize("values", [[], [0.5], [0.5, math.nan], [0.5, math.inf]])
def test_there_is_none_without_two_folds_that_are_numbers(values) -> None:
    assert corrected(values) is None


def test_folds_without_scatter_say_all_there_is_to_say() -> None:
    assert corrected([0.0, 0.0, 0.0]) == Estimate(0.0, 0.0, 0.0, 1.0)
    assert corrected([0.25, 0.25]) == Estimate(0.25, 0.25, 0.25, 0.0)


def test_holm_s_correction_is_as_worked_by_hand() -> None:
    """Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06 and 0.04, which may not be below 0.06."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_rejects_step_by_step_until_one_cannot_be(p) -> None:
    left, rejected = len(p), set()
    for place in sorted(range(len(p)), key=lambda i: p[i]):  # the rule as Holm states it
        if p[place] * left > 0.05:
            break
        rejected.add(place)
        left -= 1
    assert {i for i, value in enumerate(holm(p)) if value <= 0.05} == rejected


@given(st.floats(-2, 2), st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1))
def test_differences_of_correlations_are_those_of_the_averages_and_keep_their_side_of_zero(beside, gap, below, above):
    mean, low, high = back(Estimate(gap, gap - below, gap + above, 0.5), beside)
    assert mean == pytest.approx(math.tanh(beside + gap) - math.tanh(beside))
    assert low <= mean <= high
    if min(abs(gap - below), abs(gap + above)) > 1e-9:  # nearer to zero it is a matter of rounding
        assert (low <= 0 <= high) == (gap - below <= 0 <= gap + above)


def test_scores_go_back_by_themselves() -> None:
    assert back(Estimate(math.atanh(0.6), math.atanh(0.5), math.atanh(0.7), 0.0)) == pytest.approx((0.6, 0.5, 0.7))
