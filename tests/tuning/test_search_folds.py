"""The rule on a trial's first folds: forgiving, against the best trial of the first rung, and taken once."""

from __future__ import annotations

import json
import math

import pytest

from pamfn.metrics import AVERAGES, fisher_mean
from tuning.search.folds import FirstFolds, fold_scores, waits_for_folds


def told(*scores: float, of: int = 5) -> dict:
    """Returns what a trial reports whose first folds have these scores at the first rung."""
    return {"folds": {"done": len(scores), "of": of}, "fold_scores": {str(i): s for i, s in enumerate(scores)}}


INCUMBENT = told(0.5, 0.6, 0.4, 0.7, 0.55)


@pytest.fixture(name="rule")
def _rule():
    rule = FirstFolds()
    rule.record("0000", 0.55, INCUMBENT)
    return rule


def test_first_folds_below_the_worst_fold_of_the_incumbent_end_a_trial(rule):
    decision = rule.decide("0001", told(0.45, 0.3))
    assert not decision.goes_on
    assert decision.reason == "stopped after 2 of 5 folds at rung 0"
    assert decision.grounds == {
        "folds": 2,
        "of": 5,
        "score": pytest.approx(fisher_mean([0.45, 0.3])),
        "incumbent": "0000",
        "bar": 0.4,
    }


def test_first_folds_as_good_as_the_worst_fold_of_the_incumbent_go_on(rule):
    assert rule.decide("0001", told(0.4)).goes_on
    assert rule.decide("0002", told(0.41, 0.4)).reason == ""


def test_the_aggressive_rule_asks_for_the_incumbents_mean():
    rule = FirstFolds(fisher_mean)
    rule.record("0000", 0.55, INCUMBENT)
    assert not rule.decide("0001", told(0.54)).goes_on
    assert rule.decide("0002", told(0.56)).goes_on


def test_without_an_incumbent_every_trial_goes_on():
    decision = FirstFolds().decide("0000", told(-0.9))
    assert decision.goes_on
    assert (decision.incumbent, decision.grounds["bar"]) == ("", None)
    assert json.loads(json.dumps(decision.grounds, allow_nan=False)) == decision.grounds


def test_the_incumbent_is_the_best_of_the_rung_and_of_equals_the_first(rule):
    rule.record("0001", 0.5, told(0.9, 0.9, 0.9, 0.9, 0.1))
    rule.record("0002", 0.55, told(0.1, 0.9, 0.9, 0.9, 0.9))
    assert rule.decide("0003", told(0.2)).incumbent == "0000"
    rule.record("0004", 0.8, told(0.8, 0.8, 0.8, 0.8, 0.8))
    assert rule.decide("0005", told(0.79)).grounds["bar"] == 0.8


def test_a_decision_stands_whatever_comes_after_it(rule):
    before = rule.decide("0001", told(0.45))
    rule.record("0002", 0.9, told(0.9, 0.9, 0.9, 0.9, 0.9))
    assert rule.decide("0001", told(0.45)) is before


def test_calls_in_the_same_order_give_the_same_decisions(rule):
    calls = [("0001", told(0.45)), ("0002", told(0.3, 0.35)), ("0003", told(0.7))]
    first = [rule.decide(*call) for call in calls]
    again = FirstFolds()
    again.record("0000", 0.55, json.loads(json.dumps(INCUMBENT)))
    assert [again.decide(*call) for call in json.loads(json.dumps(calls))] == first


def test_folds_come_in_the_order_of_their_numbers():
    scores = {str(fold): fold / 100 for fold in reversed(range(12))}
    assert fold_scores({"fold_scores": scores}) == [fold / 100 for fold in range(12)]


@pytest.mark.parametrize("result", [{}, told(), INCUMBENT, {"folds": {"done": 2, "of": 5}, "fold_scores": {}}])
def test_only_some_of_the_folds_are_first_folds(rule, result):
    assert not waits_for_folds(result)
    with pytest.raises(ValueError, match="must be some, but not all"):
        rule.decide("0001", result)


def test_a_result_without_fold_scores_makes_no_incumbent():
    rule = FirstFolds()
    rule.record("0000", 0.9, {"val_spearman": 0.9})
    assert rule.decide("0001", told(0.1)).bar == -math.inf


def test_folds_of_highlights_are_averaged_plainly():
    rule = FirstFolds(average=AVERAGES["map"])
    rule.record("0000", 0.6, told(0.56, 0.7))
    decision = rule.decide("0001", told(0.2, 0.9))
    assert decision.score == pytest.approx(0.55)  # by Fisher's z 0.684, and it would go on
    assert not decision.goes_on
    assert FirstFolds().decide("0001", told(0.2, 0.9)).score == pytest.approx(0.6845, abs=5e-5)
