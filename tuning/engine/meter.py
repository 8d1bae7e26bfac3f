"""Whose time a device's time is: seconds that several trials share are divided among them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Meter:
    """A clock that runs slower the more trials are on the device: with four, by a quarter of a second a second.

    What it advances by while a trial is on the device is the trial's share of the device; the shares of all trials add
    up to the time in which there was any.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._trials, self._share, self._since = 0, 0.0, clock()

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Counts one more trial for the length of a block."""
        self._change(1)
        try:
            yield
        finally:
            self._change(-1)

    def seconds(self) -> float:
        """Returns what the clock shows."""
        return self._change(0)

    def _change(self, by: int) -> float:
        with self._lock:
            now = self._clock()
            self._share += (now - self._since) / max(1, self._trials)
            self._since, self._trials = now, self._trials + by
            return self._share
