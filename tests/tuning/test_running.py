"""The time budget of a study over several launches."""

from __future__ import annotations

import pickle

import pytest

from tuning import running
from tuning.running import TimeBudget


@pytest.fixture
def clock(monkeypatch):
    """A clock that is moved by hand."""
    now = [100.0]
    monkeypatch.setattr(running.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(TimeBudget, "limit", 10.0)
    return now


def test_the_time_is_spent_from_the_first_event_on(clock):
    budget = TimeBudget()
    assert not budget.stop_all()
    clock[0] += 9.0
    assert not budget.stop_all()
    clock[0] += 1.0
    assert budget.stop_all()


def test_a_resumed_study_has_the_time_that_is_left_and_the_hours_between_do_not_count(clock):
    budget = TimeBudget()
    budget.stop_all()
    clock[0] += 6.0
    budget.stop_all()
    resumed = pickle.loads(pickle.dumps(budget))
    clock[0] += 3600.0
    assert not resumed.stop_all()
    clock[0] += 4.0
    assert resumed.stop_all()


def test_a_launch_may_raise_the_limit(clock, monkeypatch):
    budget = TimeBudget()
    budget.spent = 10.0
    assert pickle.loads(pickle.dumps(budget)).stop_all()
    monkeypatch.setattr(TimeBudget, "limit", 20.0)
    assert not pickle.loads(pickle.dumps(budget)).stop_all()
    monkeypatch.setattr(TimeBudget, "limit", None)
    assert not budget.stop_all()


def test_no_single_trial_is_stopped_by_the_time():
    assert not TimeBudget()("a", {})
