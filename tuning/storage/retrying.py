"""Trying again: what a network does to a request is not what a study ends with."""

from __future__ import annotations

import errno
import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

_LOGGER = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE = 180.0  # seconds after which a request that fails for a passing reason has failed
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0  # seconds
SAID_AFTER = 5.0  # seconds of trying again after which it is said, once a request
PASSING = {errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EINTR, errno.ECONNRESET, errno.EIO, errno.EHOSTDOWN}
PASSING |= {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ECONNREFUSED, errno.ECONNABORTED, errno.ENETDOWN}
"""What a network file system answers while its server is away for a moment."""


class StorageError(OSError):
    """The storage refuses what it is asked, or has not answered for long; the message is one line.

    Args:
        message: What was asked of which place, the answer, and the way out.
        passing: Whether trying again may help.
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing

    def __reduce__(self) -> tuple[object, ...]:
        """An error of a worker is told in the driver."""
        return StorageError, (str(self),)


def is_passing(error: OSError) -> bool:
    """Tells whether trying again may help."""
    return error.passing if isinstance(error, StorageError) else error.errno in PASSING


def retried(
    ask: Callable[[], T],
    *,
    patience: float = PATIENCE,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Returns what a request comes to, asked again with longer and longer pauses while it fails for a passing reason.

    Args:
        ask: Asks; may be called any number of times.
        patience: Seconds for which to ask again.
        sleep: Waits for some seconds.
        clock: Seconds that never go back.

    Raises:
        OSError: As the request raised it, for a reason that does not pass or has not passed in time.
    """
    began, pause, said = clock(), FIRST_PAUSE, False
    while True:
        try:
            return ask()
        except OSError as error:
            spent = clock() - began
            if not is_passing(error) or spent + pause > patience:
                raise
            if spent > SAID_AFTER and not said:
                said = True
                _LOGGER.warning("%s; trying again for up to %.0f s", error, patience)
        sleep(pause * random.uniform(0.5, 1.0))  # many processes that failed together do not come back together
        pause = min(2 * pause, LONGEST_PAUSE)
