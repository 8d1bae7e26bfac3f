"""Ctrl-C and SIGTERM: trials are given the time to come to rest; anything else ends at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Listens to the signals that end a launch, inside a ``with`` block of the main thread.

    A signal raises KeyboardInterrupt. Inside ``gently`` the first one is passed on to Ray Tune instead, which writes
    down where the trials stand and returns; a second one does not wait for that.

    Attributes:
        seen: Whether there was a signal.
    """

    def __init__(self) -> None:
        self.seen = False
        self._gently = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Begins to listen."""
        self._before = {number: signal.getsignal(number) for number in SIGNALS}
        self.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Gives the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def listen(self) -> None:
        """Listens, again if need be: Ray takes SIGTERM over when it starts, and dies of it on the spot."""
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    @contextmanager
    def gently(self) -> Iterator[None]:
        """Passes the first signal on to Tune, which listens to SIGUSR1 while it runs (its own SIGINT is turned off)."""
        before = signal.signal(signal.SIGUSR1, _raise)
        self._gently = True
        try:
            yield
        finally:
            self._gently = False
            signal.signal(signal.SIGUSR1, before)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        first, self.seen = not self.seen, True
        if not (first and self._gently):
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGUSR1)


def _raise(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
