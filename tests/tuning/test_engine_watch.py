"""What an engine's answers say: its pace, and whether it is stuck."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tuning.engine.status import DeviceStatus
from tuning.engine.watch import Watched

IDLE = DeviceStatus(
    rows_busy=0,
    rows_waiting=0,
    rows_room=16,
    programs=0,
    steps=0,
    replica_steps=0,
    seconds_busy=0.0,
    memory_bytes=2**30,
    memory_total=2**32,
    utilisation=None,
    device="cpu",
    started=1.0,
)


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture(name="clock")
def _clock():
    return Clock()


@pytest.fixture(name="watched")
def _watched(clock):
    return Watched(3, patience=60.0, clock=clock)


def test_the_pace_is_that_of_the_last_seconds(watched, clock):
    for second in range(101):
        clock.now = float(second)
        steps = 10 * min(second, 80)
        watched.answered(replace(IDLE, rows_busy=4, steps=steps, replica_steps=4 * steps))
        if second == 70:
            pace = watched.pace()
            assert (pace.engine, pace.steps, pace.replica_steps) == (3, 10.0, 40.0)
    assert watched.pace().steps == 0.0


def test_an_engine_that_answered_once_has_no_pace(watched):
    assert watched.pace() is None
    watched.answered(IDLE)
    assert watched.pace() is None


def test_the_counts_of_a_process_that_is_gone_are_not_mixed_with_those_of_the_next(watched, clock):
    watched.answered(replace(IDLE, steps=1000))
    clock.now = 2.0
    watched.answered(replace(IDLE, steps=5, started=2.0))
    assert watched.pace() is None


@pytest.mark.parametrize("work", [{"rows_busy": 4}, {"rows_waiting": 4}])
def test_an_engine_that_makes_no_step_while_there_is_work_is_stuck(watched, clock, work):
    busy = replace(IDLE, steps=7, **work)
    watched.answered(busy)
    for clock.now in (30.0, 60.0):
        watched.answered(busy)
        assert not watched.stuck
    clock.now = 61.0
    watched.answered(busy)
    assert watched.stuck
    watched.answered(replace(busy, steps=8))
    assert not watched.stuck


def test_an_idle_engine_is_not_stuck(watched, clock):
    for clock.now in (0.0, 100.0, 200.0):
        watched.answered(IDLE)
        assert not watched.stuck


def test_an_engine_that_does_not_answer_is_stuck(watched, clock):
    watched.answered(IDLE)
    clock.now = 61.0
    assert watched.stuck


def test_an_engine_that_is_starting_is_not_stuck_however_long_it_takes(watched, clock):
    clock.now = 1000.0
    assert not watched.stuck
    watched.answered(replace(IDLE, rows_busy=4))
    assert not watched.stuck
    watched.lost()
    clock.now = 5000.0
    assert not watched.stuck


def test_what_a_device_does_is_said_in_mlflows_words(watched, clock):
    watched.answered(IDLE)
    clock.now = 10.0
    watched.answered(replace(IDLE, rows_busy=8, steps=20, replica_steps=160, utilisation=0.5, trials=("0001", "0002")))
    assert watched.pace().metrics() == {
        "system/engine3_rows_busy": 8.0,
        "system/engine3_rows_waiting": 0.0,
        "system/engine3_steps_per_second": 2.0,
        "system/engine3_replica_steps_per_second": 16.0,
        "system/engine3_memory_megabytes": 2**30 / 1e6,
        "system/engine3_memory_percentage": 25.0,
        "system/engine3_trials": 2.0,
        "system/engine3_utilization_percentage": 50.0,
    }


def test_what_a_device_does_is_said_in_one_line(watched, clock):
    watched.answered(IDLE)
    clock.now = 10.0
    watched.answered(replace(IDLE, rows_busy=8, rows_waiting=4, steps=20, replica_steps=160))
    assert watched.pace().line() == ("engine 3 (cpu): 8 rows busy, 4 wait; 2 steps/s, 16 replica-steps/s; 1 of 4 GiB")
