"""What is wrong with a request: every fault with its place, its value, the rule it breaks and a near miss."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pamfn.credentials import redacted

UNSET: Final = object()
"""The value of a fault that is about a name rather than a value."""

_SHOWN = 60  # characters of a value in a message


@dataclass(frozen=True)
class Fault:
    """One broken rule of a space file or of the options beside it.

    Args:
        line: The line in the file, counted from 1; or the option that brought the value, such as ``--set``.
        path: The dotted path of the value, such as ``search.lr.low``; empty for the file as a whole.
        value: The offending value, or ``UNSET`` where the fault is the name or an absence.
        rule: What must hold, written to be read after the value.
        hint: The way out or a near miss; may be empty.
    """

    line: int | str
    path: str
    value: Any
    rule: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"line {self.line}" if isinstance(self.line, int) else self.line
        value = "" if self.value is UNSET else f"{_shorten(self.value)} "
        head = ": ".join(part for part in (place, self.path) if part)
        return f"{head}: {value}{self.rule}" + (f"; {self.hint}" if self.hint else "")


class SpaceError(ValueError):
    """A request that cannot be carried out; the message lists every fault, one a line.

    Args:
        source: The file the request came from, as the user wrote it.
        faults: All faults; file order first, options last.
    """

    def __init__(self, source: str, faults: Iterable[Fault]) -> None:
        self.source = source
        self.faults = sorted(faults, key=_reading_order)
        count = f"{len(self.faults)} fault" + ("s" if len(self.faults) != 1 else "")
        super().__init__("\n".join([f"{source}: {count}, nothing was started", *(f"  {f}" for f in self.faults)]))

    def __reduce__(self) -> tuple[type[SpaceError], tuple[str, list[Fault]]]:
        return SpaceError, (self.source, self.faults)


def near_miss(word: str, known: Iterable[str]) -> str:
    """Returns ``did you mean `x`?`` for the closest known word, or nothing where none is close."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f"did you mean `{by_lower[near[0]]}`?" if near else ""


def nearest_or_all(word: str, known: Sequence[str]) -> str:
    """Returns the near miss, or where none is close the list of what there is."""
    return near_miss(word, known) or f"known: {', '.join(known) or 'none'}"


def _reading_order(fault: Fault) -> tuple[bool, int, str]:
    at_line = isinstance(fault.line, int)
    return (not at_line, fault.line if isinstance(fault.line, int) else 0, fault.path)


def _shorten(value: Any) -> str:
    text = (
        repr(value)
        if not isinstance(value, (type(None), bool))
        else {None: "null", True: "true", False: "false"}[value]
    )
    text = redacted(text)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
