"""The log of a job as it is written, over connections that may break."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tuning.submit.access import SubmitError
from tuning.submit.connection import Server, State, log_of, state_of
from tuning.submit.jobs import UnknownJob, Unreachable

FIRST, LONGEST = 1.0, 60.0  # seconds before the first and before later tries to connect again
PATIENCE = 6 * 3600.0  # seconds without an answer after which nobody is there
TRIES = 3  # to read the log of a job that has ended


@dataclass
class Reader:
    """Passes each character of a log on once, as often as the log begins anew.

    Args:
        write: Takes text.
    """

    write: Callable[[str], None]
    _passed: int = field(default=0, init=False)
    _seen: int = field(default=0, init=False)

    def begin(self) -> None:
        """The log comes from its beginning."""
        self._seen = 0

    def take(self, text: str) -> None:
        """Passes on what of a text is new."""
        self._seen += len(text)
        if (new := self._seen - self._passed) > 0:
            self.write(text[-new:])
            self._passed = self._seen


@dataclass
class Absence:
    """How long a server has been away, and when to try again.

    Args:
        note: Tells people a line.
        patience: Seconds without any answer after which nobody is there.
        first: Seconds before the first try; twice as many before each later one.
    """

    note: Callable[[str], None]
    patience: float
    first: float
    tries: int = field(default=0, init=False)
    _since: float = field(default=0.0, init=False)

    def back(self) -> None:
        """There is a connection."""
        if self.tries:
            self.note("connected again")
        self.tries = 0

    async def wait(self, error: Unreachable) -> None:
        """Waits for the next try.

        Raises:
            SubmitError: If it has been away for too long.
        """
        now = time.monotonic()
        self._since = self._since if self.tries else now
        if now - self._since >= self.patience:
            raise SubmitError(f"{error}; given up after {self.patience:.0f} s") from error
        seconds = min(LONGEST, self.first * 2**self.tries)
        self.tries += 1
        self.note(f"connection lost: {error}; the study goes on without it; trying again in {seconds:.0f} s")
        await asyncio.sleep(seconds)


async def follow(
    server: Server,
    job: str,
    write: Callable[[str], None],
    note: Callable[[str], None],
    *,
    patience: float = PATIENCE,
    first: float = FIRST,
) -> State:
    """Writes a job's log until the job ends, and returns how it ended.

    A connection that breaks is made again, after a second, and then after twice as long each time.

    Args:
        server: The job server.
        job: The job.
        write: Takes the log.
        note: Tells people a line about the connection.
        patience: Seconds without any answer after which it gives up.
        first: Seconds before the first try to connect again.

    Raises:
        UnknownJob: If there is no such job.
        SubmitError: If the server does not let us in, or has been silent for too long.
    """
    reader, absence, unread = Reader(write), Absence(note, patience, first), 0
    while True:
        try:
            await _read(server, job, reader, absence)
            state = await state_of(server, job)
            if state.ended:
                return state
            raise Unreachable(f"the log of {job} broke off")
        except Unreachable as error:
            state = await _state_if_known(server, job)
            if state.ended and (unread := unread + 1) >= TRIES:
                note(f"the end of its log cannot be read: {error}")
                return state
            await absence.wait(error)


async def _read(server: Server, job: str, reader: Reader, absence: Absence) -> None:
    reader.begin()
    async for text in log_of(server, job):
        absence.back()
        reader.take(text)


async def _state_if_known(server: Server, job: str) -> State:
    """Returns how a job stands; as one that runs where the server does not say.

    Raises:
        UnknownJob: If the server answers, and no longer knows it: the cluster has been started anew.
    """
    try:
        return await state_of(server, job)
    except UnknownJob as error:
        raise UnknownJob(f"{error} any more: the head node has been started anew; resume the study there") from error
    except Unreachable:
        return State("RUNNING")
