"""Configurations are chosen by their folds, with the ties that the noise cannot tell apart, and a reference beside."""

from __future__ import annotations

import math

import pytest
from final_rows import FIRST, row
from planted_study import small_study

from tuning.selection.choosing import REFERENCE, choose, is_tie


@pytest.fixture(name="study")
def _study(planted_shards, tmp_path):
    return lambda *sets: small_study(planted_shards, tmp_path, *sets)


def chosen(study, rows):
    return [(c.rank, c.trial_id, c.tie) for c in choose(study, rows).candidates]


def test_the_best_by_their_last_score_are_chosen_among_those_that_finished(study):
    rows = [row("a", 0.3), row("b", 0.5), row("c", 0.9, "stopped at rung 1"), row("d", 0.8, "failed: x"), row("e", 0.4)]
    made = choose(study("final.top=2"), rows)
    assert [(c.rank, c.trial_id, c.objective) for c in made.candidates] == [
        (1, "b", pytest.approx(0.5)),
        (2, "e", pytest.approx(0.4)),
    ]
    assert (made.trials, made.finished) == (5, 3)


@pytest.mark.parametrize("rows", [[], [row("a", 0.3, "stopped at rung 0")], [row("a", math.nan)]])
def test_nothing_is_chosen_where_nothing_finished(study, rows):
    assert choose(study(), rows) is None


def test_nothing_is_chosen_where_nothing_is_asked_for(study):
    assert choose(study("final.top=0"), [row("a", 0.3)]) is None


def test_equal_scores_are_ordered_by_the_trial_so_that_a_resumed_study_chooses_the_same(study):
    assert chosen(study("final.top=1", "final.ties=0"), [row("b", 0.5), row("a", 0.5)]) == [(1, "a", False)]


BEST = row("a", [0.50, 0.60, 0.70, 0.60])
NEAR = row("b", [0.60, 0.50, 0.70, 0.55])  # sometimes above, sometimes below: the mean gap is below its error
FAR = row("c", [0.40, 0.50, 0.60, 0.50])  # always below by the same: little noise, a clear gap


def test_a_tie_is_a_mean_gap_no_larger_than_its_own_standard_error():
    assert is_tie(BEST, NEAR)
    assert not is_tie(BEST, FAR)


def test_ties_are_kept_beyond_the_best_and_marked(study):
    assert chosen(study("final.top=1", "final.ties=2"), [FAR, NEAR, BEST]) == [(1, "a", False), (2, "b", True)]


def test_ties_beyond_the_limit_are_counted(study):
    more = [row(name, list(NEAR["scores"].values())) for name in ("d", "e", "f")]
    made = choose(study("final.top=1", "final.ties=2"), [FAR, NEAR, BEST, *more])
    assert ([c.trial_id for c in made.candidates], made.further_ties) == (["a", "b", "d"], 2)


def test_trials_whose_replicas_differ_are_no_ties():
    fewer = row("b", [0.6, 0.5, 0.7])
    assert not is_tie(BEST, fewer)
    assert not is_tie(BEST, {**NEAR, "scores": {}})


def test_the_first_trial_is_the_reference_even_when_it_was_stopped(study):
    made = choose(study("final.top=1"), [row("first", 0.2, "stopped at rung 0", FIRST), row("b", 0.5)])
    assert (made.reference.rank, made.reference.trial_id, made.reference.objective) == (0, "first", None)
    assert [c.trial_id for c in made.trained] == ["b", "first"]


def test_a_reference_among_the_best_is_not_trained_twice(study):
    made = choose(study("final.top=2"), [row("first", 0.6, config=FIRST), row("b", 0.5)])
    assert made.reference is made.candidates[0]
    assert [c.trial_id for c in made.trained] == ["first", "b"]


def test_a_reference_that_no_trial_has_tried_is_trained_all_the_same(study):
    made = choose(study("final.top=1"), [row("b", 0.5)])
    assert (made.reference.trial_id, made.reference.config) == (REFERENCE, FIRST)


def test_the_digest_tells_choices_apart_by_configurations_and_seeds(study):
    one, other = (choose(study("final.top=1"), [row(name, 0.5)]) for name in "ab")
    assert one.digest(5, 0) == choose(study("final.top=1"), [row("a", 0.5)]).digest(5, 0)
    assert len({one.digest(5, 0), one.digest(4, 0), one.digest(5, 1), other.digest(5, 0)}) == 4
