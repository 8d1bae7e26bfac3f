import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning.search import Rungs


def verdicts(scores, reduction=3.0):
    rungs = Rungs(reduction)
    answers = []
    for i, score in enumerate(scores):
        rungs.record(f"t{i}", 0, score)
        answers.append(rungs.decide(f"t{i}", 0).goes_on)
    return answers


def test_ten_trials_arriving_in_ascending_order_all_go_on():
    assert verdicts(range(10)) == [True] * 10


def test_of_ten_trials_arriving_in_descending_order_the_best_goes_on():
    assert verdicts(range(10, 0, -1)) == [True] + [False] * 2 + [False] * 7


def test_a_trial_in_the_best_third_so_far_goes_on_though_it_is_not_the_best():
    assert verdicts([5, 1, 2, 4])[-1] is True
    assert verdicts([5, 1, 4.5, 4])[-1] is False


def test_tied_trials_share_a_rank():
    assert verdicts([1, 1, 1]) == [True, True, True]


def test_a_score_counts_for_its_own_rung_alone():
    rungs = Rungs(2)
    rungs.record("high", 1, 0.9)
    rungs.record("low", 0, 0.1)
    assert rungs.decide("low", 0).goes_on
    assert rungs.scores == {1: {"high": 0.9}, 0: {"low": 0.1}}


def test_a_score_is_counted_once_and_its_first_value_stays():
    rungs = Rungs(2)
    for score in (0.5, 0.7):
        rungs.record("again", 0, score)
    assert rungs.scores[0] == {"again": 0.5}


def test_a_decision_stands_whatever_arrives_later():
    rungs = Rungs(2)
    rungs.record("early", 0, 0.1)
    first = rungs.decide("early", 0)
    for i in range(5):
        rungs.record(f"better{i}", 0, 0.9)
    assert rungs.decide("early", 0) is first
    assert (first.rank, first.of, first.kept, first.goes_on) == (1, 1, 1, True)


def test_two_trials_at_one_rung_at_once_are_judged_on_both_scores():
    rungs = Rungs(2)
    rungs.record("worse", 0, 0.1)
    rungs.record("better", 0, 0.2)
    assert not rungs.decide("worse", 0).goes_on
    assert rungs.decide("better", 0).goes_on


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=60), st.sampled_from([2.0, 3.0, 4.0, 2.5]))
def test_a_trial_goes_on_exactly_if_fewer_than_its_share_are_better(scores, reduction):
    for i, goes_on in enumerate(verdicts(scores, reduction)):
        seen = scores[: i + 1]
        assert goes_on == (sum(s > scores[i] for s in seen) < math.ceil(len(seen) / reduction))


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30))
def test_without_a_reduction_every_trial_goes_on(scores):
    assert all(verdicts(scores, None))


@pytest.mark.parametrize("reduction", [1.5, 0, float("nan"), float("inf")])
def test_a_reduction_that_keeps_all_or_none_is_refused(reduction):
    with pytest.raises(ValueError, match=f"reduction: {reduction} must be a number of at least 2"):
        Rungs(reduction)


@pytest.mark.parametrize(("rung", "score"), [(-1, 0.5), (0, float("nan")), (0, float("inf"))])
def test_what_is_no_score_of_a_rung_is_not_filed(rung, score):
    with pytest.raises(ValueError, match=f"rung {rung} and score {score}"):
        Rungs(3).record("trial", rung, score)
