"""Numbers as people say them: round where nothing is exact, with a unit, and labelled lines within a width."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence

from tuning.forecast.ranges import Range

WIDTH, LABEL = 100, 11
_TIMES = ((86400, "d"), (3600, "h"), (60, "min"))


def rounded(value: float) -> str:
    """Returns a number to two significant digits: ``8,100``, ``0.47``, ``3``."""
    if not value or not math.isfinite(value):
        return f"{value:g}"
    digits = 1 - math.floor(math.log10(abs(value)))
    text = f"{round(value, digits):,.{max(0, digits)}f}"
    return text.rstrip("0").removesuffix(".") if "." in text else text


def in_time(seconds: float) -> str:
    """Returns a time to two significant digits, such as ``4 min``."""
    for factor, unit in _TIMES:
        if seconds >= factor:
            return f"{rounded(seconds / factor)} {unit}"
    return f"{rounded(seconds)} s"


def time_span(seconds: Range) -> str:
    """Returns a time with its range."""
    return f"about {in_time(seconds.mean)} ({in_time(seconds.low)} to {in_time(seconds.high)})"


def span(of: Range) -> str:
    """Returns a quantity with its range."""
    return f"about {rounded(of.mean)} ({rounded(of.low)} to {rounded(of.high)})"


def in_units(size: float) -> str:
    """Returns a number of bytes for reading, such as ``3.1 GB``."""
    for factor, unit in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size:.0f} bytes"


def section(label: str, sentences: Iterable[str]) -> str:
    """Returns a labelled paragraph: each sentence on lines of its own, wrapped, beside the label."""
    indent, lines = " " * LABEL, list[str]()
    for sentence in sentences:
        lines += textwrap.wrap(
            sentence, WIDTH - LABEL, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
    return "\n".join([label.ljust(LABEL) + lines[0], *(indent + line for line in lines[1:])]) + "\n" if lines else ""


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns rows with their columns aligned, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]).rstrip()
        for row in rows
    ]
