import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning.domains import ChoiceDomain, FloatDomain, IntDomain
from tuning.drawing import bounds, decode, draw, encode

DOMAINS = [
    IntDomain(type="int", low=4, high=12),
    IntDomain(type="int", low=1, high=100, log=True),
    FloatDomain(type="float", low=-1.5, high=2.0),
    FloatDomain(type="float", low=1e-4, high=2e-3, log=True),
    ChoiceDomain(type="choice", values=[True, 1, "one", None, [1, 2]]),
]


@pytest.mark.parametrize("domain", DOMAINS, ids=str)
@given(share=st.floats(0, 1))
def test_encoding_a_value_and_decoding_it_gives_the_value_back(domain, share):
    low, high = bounds(domain)
    value = decode(domain, low + share * (high - low))
    again = decode(domain, encode(domain, value))
    assert again == pytest.approx(value) if isinstance(value, float) else again == value
    assert type(again) is type(value)


def test_the_ends_of_a_range_of_ints_are_as_likely_as_its_middle():
    """Of 9000 draws each of 9 values has 1000 +- 30; the bound is over five deviations."""
    generator = np.random.default_rng(0)
    counts = Counter(draw(DOMAINS[0], generator) for _ in range(9000))
    assert sorted(counts) == list(range(4, 13))
    assert max(abs(count - 1000) for count in counts.values()) < 160


def test_a_log_scale_spreads_draws_over_magnitudes():
    generator = np.random.default_rng(0)
    lrs = [draw(DOMAINS[3], generator) for _ in range(2000)]
    middle = math.sqrt(1e-4 * 2e-3)
    assert 0.45 < np.mean([lr < middle for lr in lrs]) < 0.55


@pytest.mark.parametrize("domain", [DOMAINS[3], FloatDomain(type="float", low=-3.0, high=9.0)], ids=str)
def test_drawn_numbers_have_four_significant_digits(domain):
    drawn = [draw(domain, np.random.default_rng(seed)) for seed in range(50)]
    assert all(value == float(f"{value:.4g}") for value in drawn)


def test_a_narrow_range_keeps_the_digits_that_tell_its_numbers_apart():
    domain = FloatDomain(type="float", low=0.50001, high=0.50002)
    drawn = {draw(domain, np.random.default_rng(seed)) for seed in range(50)}
    assert len(drawn) > 40
    assert all(0.50001 <= value <= 0.50002 for value in drawn)
