"""How many engines and trials there are at once."""

from __future__ import annotations

import pytest
from planted_study import small_study

from tuning.cluster import Room
from tuning.engine.sizing import engines_of, trials_at_once

TWO_CPUS, EIGHT_GPUS = Room(1.0, 0.0, 2), Room(1.0, 1.0, 8)


@pytest.fixture(name="study")
def _study(planted_shards, tmp_path):
    return lambda *sets: small_study(planted_shards, tmp_path, *sets)


def test_there_is_an_engine_a_device(study):
    assert engines_of(study("budget.concurrent=auto"), EIGHT_GPUS) == 8


def test_more_devices_than_there_are_now_may_be_asked_for(study):
    assert engines_of(study("budget.concurrent=auto", "resources.devices=12"), EIGHT_GPUS) == 12


def test_no_more_engines_start_than_trials_may_run(study):
    assert engines_of(study("budget.concurrent=3"), EIGHT_GPUS) == 3


def test_trials_fill_the_rows_of_every_engine_and_one_more_waits_for_each(study):
    wide = study("budget.concurrent=auto", "budget.trials=500", "fixed.width=256")
    assert trials_at_once(wide, TWO_CPUS) == 2 * (2 // 2 + 1)
    assert trials_at_once(wide, EIGHT_GPUS) == 8 * (8 // 2 + 1)
    narrow = study("budget.concurrent=auto", "budget.trials=500", "fixed.width=32", "evaluation.folds=3")
    assert trials_at_once(narrow, TWO_CPUS) == 2 * 4  # at most: each takes a process of the engines' processors
    assert trials_at_once(narrow, EIGHT_GPUS) == 8 * (22 + 1)


def test_no_more_trials_run_at_once_than_there_are(study):
    assert trials_at_once(study("budget.concurrent=auto", "budget.trials=5"), EIGHT_GPUS) == 5


def test_without_engines_every_trial_has_a_place_of_its_own(study):
    alone = study("budget.concurrent=auto", "budget.trials=500", "resources.engine=off")
    assert trials_at_once(alone, TWO_CPUS) == 2


def test_what_the_study_asks_for_is_what_it_gets(study):
    assert trials_at_once(study("budget.concurrent=7"), TWO_CPUS) == 7
