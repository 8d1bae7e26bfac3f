"""Whether engines do anything: what they say of themselves, how fast they are, and which of them is stuck."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tuning.engine.status import DeviceStatus, Pace

RECENT = 5.0  # seconds at least over which a pace is taken


@dataclass
class Watched:
    """One engine as its statuses tell.

    Args:
        engine: Its number.
        patience: Seconds without an answer, or without a step while rows are busy or wanted, after which it is stuck; a
            program's first step may be compiled for a minute or two.
        clock: Seconds that never go back.
    """

    engine: int
    patience: float
    clock: Callable[[], float] = time.monotonic
    status: DeviceStatus | None = None
    _alive: float = field(init=False)
    _marks: list[tuple[float, DeviceStatus]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._alive = self.clock()

    def answered(self, status: DeviceStatus) -> None:
        """Takes in an answer."""
        now, before = self.clock(), self.status
        if before is None or before.started != status.started:
            self._marks = []
        idle = not (status.rows_busy or status.rows_waiting)
        if before is None or idle or _done(status) != _done(before):
            self._alive = now
        self.status = status
        self._marks.append((now, status))
        while len(self._marks) > 2 and now - self._marks[1][0] >= RECENT:
            del self._marks[0]

    def lost(self) -> None:
        """Takes in that its process is gone; until the next one answers there is nothing to judge."""
        self.status, self._marks = None, []

    @property
    def stuck(self) -> bool:
        """Whether it has worked before, and has not for so long."""
        return self.status is not None and self.clock() - self._alive > self.patience

    def pace(self) -> Pace | None:
        """Returns what it does and how fast; None where it has not answered twice."""
        if len(self._marks) < 2:
            return None
        (begin, first), (end, last) = self._marks[0], self._marks[-1]
        seconds = max(end - begin, 1e-9)
        steps, replica_steps = last.steps - first.steps, last.replica_steps - first.replica_steps
        return Pace(self.engine, last, steps / seconds, replica_steps / seconds)


def _done(status: DeviceStatus) -> tuple[float, int, int]:
    """Returns what changes with every step, and with every process."""
    return status.started, status.steps, status.replica_steps
