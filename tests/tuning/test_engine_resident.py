"""A trial that an engine holds: one caller at a time, the newest is the right one, and a released one gives way."""

from __future__ import annotations

import threading

import pytest

from tuning.engine.leash import LetGo
from tuning.engine.meter import Meter
from tuning.engine.resident import Resident

WAIT = 20.0


class Scripted:
    """Stands in for a trial of rungs; it can be made to wait in the middle of one."""

    def __init__(self, gone, passed=0, gate=None):
        self.passed, self.closed, self._gone, self._gate = passed, 0, gone, gate
        self.begun = threading.Event()

    def advance(self):
        self.begun.set()
        if self._gate is not None:
            assert self._gate.wait(WAIT)
        if self._gone.is_set():
            raise LetGo
        self.passed += 1
        return {"rung": self.passed - 1, "status_reason": "", "trained": True}

    def standing(self):
        return {"rung": self.passed - 1, "status_reason": "", "trained": False}

    def close(self):
        self.closed += 1


class Published:
    def __init__(self):
        self.passed, self.closed = [], 0

    def publish(self, trial):
        self.passed.append(trial.passed)

    def close(self):
        self.closed += 1


def resident(**how):
    made, published = [], Published()

    def begin(gone):
        made.append(Scripted(gone, **how))
        return made[-1]

    held = Resident(begin, Meter(), published)
    held.token = "a"
    return held, made, published


def called(held, token, told):
    """Starts a call in a thread; returns what to wait for and where its end will be."""
    ends = []

    def call():
        try:
            ends.append(held.advance(token, told))
        except LetGo as end:
            ends.append(end)

    thread = threading.Thread(target=call)
    thread.start()
    return thread, ends


def test_a_trial_is_advanced_and_its_checkpoint_written():
    held, made, published = resident()
    assert held.advance("a", 0) == {"rung": 0, "status_reason": "", "trained": True, "passed": 1}
    assert held.advance("a", 1)["passed"] == 2
    assert (len(made), published.passed) == (1, [1, 2])


def test_a_caller_that_knows_less_is_told_where_the_trial_stands_before_it_trains():
    held, _, _ = resident(passed=3)
    first, second = held.advance("a", 0), held.advance("a", 3)
    assert (first["trained"], first["passed"]) == (False, 3)
    assert (second["trained"], second["passed"]) == (True, 4)


def test_a_trial_that_failed_gets_no_checkpoint():
    held, _, published = resident()
    held.advance("a", 0)
    trial = held._trial
    trial.advance = lambda: {"rung": -1, "status_reason": "diverged at step 3"}
    assert held.advance("a", 1)["status_reason"] == "diverged at step 3"
    assert published.passed == [1]


def test_a_lost_callers_trial_goes_on_where_it_stands_and_the_older_call_is_let_go():
    gate = threading.Event()
    held, made, _ = resident(gate=gate)
    older, ended = called(held, "a", 0)
    while not made:
        pass
    assert made[0].begun.wait(WAIT)
    held.token = "b"
    newer, answered = called(held, "b", 0)
    gate.set()
    older.join(WAIT)
    newer.join(WAIT)
    assert isinstance(ended[0], LetGo)
    assert answered == [{"rung": 0, "status_reason": "", "trained": False, "passed": 1}]
    assert (len(made), made[0].closed) == (1, 0)


def test_a_trial_that_nobody_advances_gives_its_rows_back_at_once():
    held, made, published = resident()
    held.advance("a", 0)
    held.release()
    assert (made[0].closed, published.closed) == (1, 1)
    with pytest.raises(LetGo):
        held.advance("a", 1)
    held.release()
    assert made[0].closed == 1


def test_a_trial_that_trains_gives_its_rows_back_at_its_next_milestone():
    gate = threading.Event()
    held, made, published = resident(gate=gate)
    call, ended = called(held, "a", 0)
    while not made:
        pass
    assert made[0].begun.wait(WAIT)
    held.release()
    assert made[0].closed == 0
    gate.set()
    call.join(WAIT)
    assert isinstance(ended[0], LetGo)
    assert (made[0].closed, published.passed) == (1, [])


def test_a_trial_that_raises_can_still_be_released():
    held, made, _ = resident()
    held.advance("a", 0)

    def breaks():
        raise ValueError("a branch diverged")

    held._trial.advance = breaks
    with pytest.raises(ValueError, match="a branch diverged"):
        held.advance("a", 1)
    held.release()
    assert made[0].closed == 1
