"""Seconds of a device, divided among the trials that share it."""

from __future__ import annotations

import pytest

from tuning.engine.meter import Meter


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_trial_alone_has_the_device_to_itself():
    clock = Clock()
    meter = Meter(clock)
    with meter.one_more():
        begin = meter.seconds()
        clock.now += 8
        assert meter.seconds() - begin == 8


def test_the_shares_of_trials_that_overlap_add_up_to_the_time_of_the_device():
    clock = Clock()
    meter = Meter(clock)
    with meter.one_more():
        first = meter.seconds()
        clock.now += 2
        with meter.one_more():
            second = meter.seconds()
            clock.now += 6
            second = meter.seconds() - second
        clock.now += 1
        first = meter.seconds() - first
    assert (first, second) == (2 + 3 + 1, 3)
    assert first + second == 9


def test_a_trial_that_raises_leaves_the_device_to_the_others():
    clock = Clock()
    meter = Meter(clock)
    with meter.one_more():
        with pytest.raises(ValueError, match="diverged"), meter.one_more():
            raise ValueError("diverged")
        begin = meter.seconds()
        clock.now += 5
        assert meter.seconds() - begin == 5
