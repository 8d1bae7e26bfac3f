"""``decisions.jsonl``: everything that a search was told and decided, one line an event, written before it is acted on.

It is all that a study is resumed from. A line that was cut short, by a kill or a power failure while it was written,
was not acted on: reading leaves it out, and the next line takes its place.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from tuning.durable import settle

FILE = "decisions.jsonl"

Event = dict[str, Any]


class Lines(Protocol):
    """Lines that last elsewhere than in a file of this machine."""

    def read(self) -> bytes:
        """Returns all of them."""
        ...

    def append(self, line: bytes) -> None:
        """Writes one more; it lasts when this returns."""
        ...


class JournalError(ValueError):
    """A journal cannot be read; the message names the line and the way out."""


class Journal:
    """The events of a study, in the order in which they happened.

    Args:
        path: The file; made with the first event. None keeps the events in memory alone.
        clock: Seconds since the epoch; every event bears its time, and no decision depends on it.
        lines: Where the lines last, if not in the file; that is a copy then, and made anew with the first event.

    Attributes:
        events: All of them, those of former launches first.

    Raises:
        JournalError: If the file is damaged in any line but a last one that was cut short.
    """

    def __init__(
        self, path: Path | None = None, clock: Callable[[], float] = time.time, lines: Lines | None = None
    ) -> None:
        self.path, self._clock, self._lines = path, clock, lines
        self.events: list[Event] = []
        self._file: BinaryIO | None = None
        self._whole, self._before = 0, b""
        if path is not None and (lines is not None or path.exists()):
            content = self._before = path.read_bytes() if lines is None else lines.read()
            self._whole = content.rfind(b"\n") + 1
            self.events = [_event(path, number, line) for number, line in _lines(content[: self._whole])]

    def append(self, event: str, **values: Any) -> Event:
        """Writes an event, and returns it as it will be read back; it is on the disk by then."""
        line = json.dumps(_plain({"time": self._clock(), "event": event, **values}), allow_nan=False)
        if self.path is not None:
            self._write(self.path, line.encode() + b"\n")
        self.events.append(json.loads(line, object_hook=_number))
        return self.events[-1]

    def damage(self, line: int, rule: str) -> JournalError:
        """Returns what to raise where a line cannot be: the file, the line, what is wrong, and the way out."""
        return _damage(self.path, line, rule)

    def _write(self, path: Path, line: bytes) -> None:
        if self._lines is not None:
            self._lines.append(line)
        if self._file is None:
            self._file = self._opened(path)
        self._file.write(line)
        self._file.flush()
        os.fsync(self._file.fileno())

    def _opened(self, path: Path) -> BinaryIO:
        """Returns the file for appending, with all whole lines there are."""
        if self._lines is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self._before[: self._whole])
        file = path.open("ab")
        file.truncate(self._whole)
        settle(path.parent)
        self._before = b""
        return file


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    return enumerate(content.split(b"\n")[:-1], start=1)


def _event(path: Path, number: int, line: bytes) -> Event:
    try:
        event = json.loads(line, object_hook=_number)
    except ValueError as error:
        raise _damage(path, number, f"is not JSON ({error})") from error
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        raise _damage(path, number, "is no event of a search")
    return event


def _damage(path: Path | None, number: int, rule: str) -> JournalError:
    way_out = "restore it from a copy, or delete this line and all below it: what they tell of is done again"
    return JournalError(f"{path or 'journal'}: line {number} {rule}; {way_out}")


def _plain(value: Any) -> Any:
    """Returns a value in what JSON has: a number that is not finite is ``{"number": "nan"}``, and so for infinity."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):  # a number of NumPy
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": str(value)}
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _number(value: dict[str, Any]) -> Any:
    return float(value["number"]) if list(value) == ["number"] and isinstance(value["number"], str) else value
