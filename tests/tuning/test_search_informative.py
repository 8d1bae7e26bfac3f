"""Rungs that have to prove themselves before they decide."""

from __future__ import annotations

import numpy as np
import pytest

from tuning.search.informative import LEAST, PILOT, Informative
from tuning.search.rungs import Rungs


def study(agreement, trials=PILOT, rungs=5, seed=0):
    """Rungs after trials whose scores at rung 0 agree with those at the anchor, or are turned round."""
    held = Rungs(3, auto=Informative(rungs))
    for number, score in enumerate(np.random.default_rng(seed).random(trials)):
        report(held, f"{number}", [score * agreement, score, score])
    return held


def report(rungs, trial, scores):
    decisions = []
    for rung, score in enumerate(scores):
        rungs.record(trial, rung, score)
        decisions.append(rungs.decide(trial, rung))
    return decisions


def test_the_anchor_is_the_second_rung_below_the_full_budget():
    assert [Informative(rungs).anchor for rungs in (1, 2, 3, 4, 6)] == [0, 0, 0, 1, 3]


def test_no_trial_is_stopped_below_the_anchor_before_enough_have_come_there():
    rungs = Rungs(3, auto=Informative(5))
    falling = [report(rungs, f"{n}", [1.0 - n / 20, 1.0 - n / 20]) for n in range(PILOT - 1)]
    assert all(decision.goes_on for decisions in falling for decision in decisions)


def test_the_anchor_itself_decides_from_the_start():
    rungs = Rungs(3, auto=Informative(5))
    for trial, score in (("a", 0.5), ("b", 0.4)):
        for rung in range(3):
            rungs.record(trial, rung, score)
    assert rungs.decide("a", 2).goes_on
    assert not rungs.decide("b", 2).goes_on


def test_a_rung_that_ranks_as_the_anchor_does_decides_from_then_on():
    rungs = study(agreement=1.0)
    assert not report(rungs, "weak", [0.0])[0].goes_on
    assert "rung 0 decides: rank correlation 1.00 with rung 2 over 10 trials" in rungs.findings()


def test_a_rung_that_ranks_the_wrong_way_round_never_decides_and_a_warning_says_so():
    rungs = study(agreement=-1.0)
    assert report(rungs, "weak", [-9.0])[0].goes_on
    [lowest, second] = rungs.findings()
    assert lowest.startswith("warning: the lowest rung says nothing (rank correlation -1.00 with rung 2")
    assert second.startswith("rung 1 decides")


def test_constant_scores_say_nothing():
    assert not study(agreement=0.0).auto.decides(0, study(agreement=0.0).scores)


def test_what_was_found_out_stands_however_many_trials_follow():
    rungs = study(agreement=1.0)
    before = rungs.findings()
    for number in range(30):
        report(rungs, f"late{number}", [-number, number, number])
    assert rungs.findings() == before


def test_nothing_is_found_before_enough_trials_have_come_to_the_anchor():
    assert study(agreement=1.0, trials=PILOT - 1).findings() == []


@pytest.mark.parametrize("rungs", [1, 2, 3])
def test_a_ladder_of_three_rungs_or_fewer_is_taken_as_it_is(rungs):
    assert Informative(rungs).decides(0, {})


def test_scores_without_any_relation_seldom_pass_for_agreement():
    generator = np.random.default_rng(0)
    passed = 0
    for _ in range(300):
        early, late = generator.random(PILOT), generator.random(PILOT)
        scores = {rung: {str(i): float(x) for i, x in enumerate(values)} for rung, values in ((0, early), (2, late))}
        passed += Informative(5).agreement(0, scores) >= LEAST
    assert passed / 300 < 0.04  # one-sided level of .7 at n = 10 is .012
