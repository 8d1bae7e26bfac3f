import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning.search.comparable import comparable

SCORES = st.floats(-0.99, 0.99)


def test_a_stopped_trial_is_carried_up_by_the_mean_gain_of_those_that_went_on():
    scores = {"on": {0: 0.3, 1: 0.5}, "also on": {0: 0.4, 1: 0.5}, "stopped": {0: 0.2}}
    gain = (2 * math.atanh(0.5) - math.atanh(0.3) - math.atanh(0.4)) / 2
    carried = comparable(scores)
    assert carried["stopped"] == pytest.approx(math.tanh(math.atanh(0.2) + gain))
    assert carried["on"] == pytest.approx(0.5)


def test_gains_of_several_rungs_add_up_on_fishers_scale():
    carried = comparable({"full": {0: 0.1, 1: 0.2, 2: 0.4}, "stopped": {0: 0.1}})
    assert carried["stopped"] == pytest.approx(0.4)


def test_a_trial_without_scores_is_left_out_and_no_trials_are_no_error():
    assert comparable({"new": {}, "old": {0: 0.5}}) == pytest.approx({"old": 0.5})
    assert comparable({}) == {}


def test_perfect_scores_stay_finite():
    assert all(math.isfinite(value) for value in comparable({"a": {0: 1.0, 1: 1.0}, "b": {0: -1.0}}).values())


@given(st.lists(SCORES, min_size=2, max_size=20), SCORES)
def test_trials_of_one_rung_keep_their_order(scores, gained):
    trials = {str(i): {0: score} for i, score in enumerate(scores)} | {"on": {0: 0.0, 1: gained}}
    carried = comparable(trials)
    ranked = sorted(range(len(scores)), key=lambda i: scores[i])
    assert [carried[str(i)] for i in ranked] == sorted(carried[str(i)] for i in ranked)
