import itertools

import numpy as np
import pytest

from tuning.forecast.halving import imagine

RUNGS = (25, 75, 225, 400)
LEGS = tuple(after - before for before, after in itertools.pairwise((0, *RUNGS)))


def courses(trials=100, *, mode="stop", reduction=3, concurrent=8, studies=100):
    legs = [LEGS] * trials
    return [imagine(legs, reduction=reduction, mode=mode, concurrent=concurrent, seed=s) for s in range(studies)]


def epochs(course):
    return sum((0, *RUNGS)[rungs] for rungs in course.reached)


def test_a_hundred_trials_with_grace_25_and_eta_3_run_about_8000_epochs_of_40000():
    spent = [epochs(course) for course in courses()]
    # Successive halving that knew all scores would run 6,500; the standard error of this mean is about 130.
    assert 7500 < np.mean(spent) < 8500


@pytest.mark.parametrize("concurrent", [1, 4, 32])
def test_promotion_runs_no_more_than_stopping_and_brings_one_trial_through(concurrent):
    stopped, promoted = courses(concurrent=concurrent), courses(mode="promote", concurrent=concurrent)
    assert np.mean([*map(epochs, promoted)]) < 1.05 * np.mean([*map(epochs, stopped)])
    assert all(max(course.reached) == len(RUNGS) for course in promoted)


def test_trials_wait_where_they_are_promoted_and_nowhere_else():
    assert max(course.waiting for course in courses(studies=5)) == 0
    assert min(course.waiting for course in courses(mode="promote", studies=5)) > 50


def test_without_a_reduction_every_trial_runs_to_its_end():
    (course,) = courses(12, reduction=None, concurrent=4, studies=1)
    assert course.reached == (len(RUNGS),) * 12
    assert course.seconds == 12 * RUNGS[-1] / 4


def test_trials_run_side_by_side():
    alone, two, many = (courses(30, concurrent=n, studies=1)[0].seconds for n in (1, 2, 30))
    assert alone / 2 <= two < 0.7 * alone
    assert many == RUNGS[-1]


def test_a_course_depends_on_its_seed_alone():
    assert courses(studies=2) == courses(studies=2)
    assert courses(studies=2)[0] != courses(studies=2)[1]


def test_a_single_trial_runs_to_its_end():
    assert courses(1, studies=1)[0].reached == (len(RUNGS),)
    assert courses(1, mode="promote", studies=1)[0].reached == (len(RUNGS),)


def test_a_slow_trial_holds_up_its_place_alone():
    legs = [(100.0,), *[(1.0,)] * 10]
    assert imagine(legs, reduction=3, mode="stop", concurrent=2, seed=0).seconds == 100
    assert imagine(legs, reduction=3, mode="stop", concurrent=1, seed=0).seconds == 110
