"""The budget of a study over several launches."""

from __future__ import annotations

import pickle

import pytest
from ray.tune.stopper import Stopper
from scripted import result, search, started

from tuning.search import Journal
from tuning.spending import BudgetStopper, seconds_of


@pytest.fixture
def clock():
    """A clock that is moved by hand."""
    return [100.0]


def launched(path, clock):
    """A search in a new launch."""
    journal = Journal(path, clock=lambda: clock[0])
    return search(journal)


def stopper(made, clock, seconds=10.0, device_seconds=None, devices=1.0):
    stopping = BudgetStopper(
        made, seconds=seconds, device_seconds=device_seconds, devices=devices, clock=lambda: clock[0]
    )
    made.journal.append("launched", seed=0, concurrent=3, space="")
    return stopping


def test_what_is_spent_is_named(tmp_path, clock):
    made = launched(tmp_path / "decisions.jsonl", clock)
    budget, [trial] = stopper(made, clock, seconds=5400.0, device_seconds=60.0, devices=2.0), started(made, 1)
    assert budget.spent == ""
    made.report(trial, result(0, 0.5, train_seconds=30.0))
    assert budget.spent == "budget.device_time, 0:01:00, is spent"
    clock[0] += 5400.0
    assert budget.spent == "budget.time, 1:30:00, is spent"


def test_the_time_is_spent_when_a_launch_has_run_for_so_long(tmp_path, clock):
    budget = stopper(launched(tmp_path / "decisions.jsonl", clock), clock)
    clock[0] += 9.0
    assert not budget.stop_all()
    clock[0] += 1.0
    assert budget.stop_all()


def test_a_resumed_study_has_the_time_that_is_left_and_the_hours_between_do_not_count(tmp_path, clock):
    first = launched(tmp_path / "decisions.jsonl", clock)
    stopper(first, clock)
    clock[0] += 6.0
    first.next()
    clock[0] += 3600.0
    budget = stopper(launched(tmp_path / "decisions.jsonl", clock), clock)
    assert not budget.stop_all()
    clock[0] += 4.0
    assert budget.stop_all()


def test_a_launch_may_raise_the_limit(tmp_path, clock):
    first = launched(tmp_path / "decisions.jsonl", clock)
    stopper(first, clock)
    clock[0] += 12.0
    first.next()
    for limit, spent in ((10.0, True), (20.0, False), (None, False)):
        assert stopper(launched(tmp_path / "decisions.jsonl", clock), clock, limit).stop_all() is spent


def test_a_clock_that_was_set_back_gives_no_time_back():
    events = [{"event": "launched", "time": 50.0}, {"event": "suggested", "time": 20.0}]
    assert seconds_of([*events, {"event": "reported", "time": 23.0}]) == 3.0
    assert seconds_of([]) == 0.0


@pytest.mark.parametrize(("devices", "spent"), [(0.5, False), (1.0, True), (4.0, True)])
def test_device_time_is_what_trials_trained_times_the_devices_of_each(devices, spent, clock, tmp_path):
    made = launched(tmp_path / "decisions.jsonl", clock)
    budget = stopper(made, clock, None, device_seconds=10.0, devices=devices)
    for trial in started(made, 2):
        made.report(trial, result(0, 0.5, train_seconds=2.0))
        made.report(trial, result(1, 0.5, train_seconds=5.0))
    assert budget.stop_all() is spent
    again = stopper(launched(tmp_path / "decisions.jsonl", clock), clock, None, device_seconds=10.0, devices=devices)
    assert again.stop_all() is spent


def test_a_trial_that_has_not_said_how_long_it_trained_has_not(clock):
    made = search()
    (trial,) = started(made, 1)
    made.report(trial, {**result(0, 0.5), "train_seconds": None})
    made.report(trial, result(1, 0.5))
    assert made.trained_seconds == 0.0


def test_no_single_trial_is_stopped_by_a_budget(clock):
    assert not BudgetStopper(search(), seconds=0.1, device_seconds=None, devices=1.0)("0000", {})


def test_tune_can_write_the_stopper_into_its_snapshot():
    budget = BudgetStopper(search(), seconds=1.0, device_seconds=None, devices=1.0)
    assert isinstance(pickle.loads(pickle.dumps(budget)), Stopper)
