"""Ctrl-C and SIGTERM."""

from __future__ import annotations

import signal

import pytest

from tuning.interruption import Interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_at_once_what_has_nothing_to_write_down(number):
    with Interruption() as interruption:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        assert interruption.seen


def test_the_first_signal_is_passed_on_to_tune_and_the_second_does_not_wait():
    told = []
    with Interruption() as interruption, interruption.gently():
        signal.signal(signal.SIGUSR1, lambda *_: told.append("stop"))  # as Tune does when it begins
        signal.raise_signal(signal.SIGINT)
        assert told == ["stop"]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_signal_before_tune_listens_ends_at_once():
    with Interruption() as interruption, interruption.gently(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_signal_that_another_library_has_taken_over_is_taken_back():
    with Interruption() as interruption:
        signal.signal(signal.SIGTERM, lambda *_: None)  # as Ray does when it starts
        interruption.listen()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_signals_are_given_back():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
    with Interruption() as interruption, interruption.gently():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)] == before
