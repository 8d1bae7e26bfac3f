"""An output that outlives its reader."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TextIO


class LastingOutput:
    """Writes to a stream, and goes on in silence once nobody reads it: a study of days does not end with ``| head``.

    Args:
        out: The stream; whatever is not writing is its own affair.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __getattr__(self, name: str) -> Any:
        """Returns what the stream has."""
        return getattr(self._out, name)

    def write(self, text: str) -> int:
        """Writes text, and returns its length."""
        self._try(lambda: self._out.write(text))
        return len(text)

    def flush(self) -> None:
        """Writes what waits."""
        self._try(self._out.flush)

    def _try(self, write: Callable[[], Any]) -> None:
        try:
            write()
        except BrokenPipeError:  # whatever is written from now on, by Python at its exit too, goes nowhere
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._out.fileno())
            os.close(nowhere)
