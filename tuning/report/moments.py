"""Times and moments in words."""

from __future__ import annotations

from datetime import datetime

_UNITS = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"))


def in_time(seconds: float) -> str:
    """Returns a length of time to three significant digits at most, such as ``4.25 h`` or ``37 s``."""
    for factor, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= factor:
            return f"{_rounded(seconds / factor)} {unit}"
    return f"{_rounded(seconds)} s"


def unit_for(seconds: float) -> tuple[float, str]:
    """Returns the unit for an axis that is so long, in seconds, and its name."""
    return next(((factor, unit) for factor, unit in _UNITS if seconds >= 2 * factor), (1.0, "seconds"))


def at(seconds: float) -> str:
    """Returns a moment, given in seconds since the epoch, by the clock of this machine."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def _rounded(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"
