"""Axes that people can read: few round marks, values by magnitude where they are searched so, choices by name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from tuning.domains import ChoiceDomain, Domain, IntDomain, same_value
from tuning.report.drawing import printable
from tuning.tracking.names import SHORT, short

MARKS = 6
LABEL = 14  # characters of a value
DENSE = ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))  # marks of each power of ten, as many as there is room for
WORDS = {
    "fusion_nets": "number of FusionNets K",
    "tau_init": "first temperature τ",
    "lr": "learning rate of phase 2",
    "stages": "stages N",
    "lr_scale": "learning rate, times the model's own",
    "model": "model",
    "width": "width of all layers",
    "batch_size": "videos in a batch",
    "epochs": "epochs of phase 2",
    "phase1_epochs": "epochs of phase 1",
}
"""What settings are called in words; others by their names."""


@dataclass(frozen=True)
class Scale:
    """Where a searched setting's values lie on an axis.

    Args:
        name: The setting.
        domain: What is searched of it.
    """

    name: str
    domain: Domain

    @property
    def by_magnitude(self) -> bool:
        """Whether equal distances are equal ratios."""
        return not isinstance(self.domain, ChoiceDomain) and self.domain.log

    @property
    def label(self) -> str:
        """What the axis is called."""
        known, sign = WORDS.get(self.name), SHORT.get(self.name, self.name)
        return printable(known if known else sign, 40)

    def at(self, value: Any) -> float | None:
        """Returns where a value lies: a choice at its number; None for what is no value of the domain."""
        if isinstance(self.domain, ChoiceDomain):
            return next((float(i) for i, one in enumerate(self.domain.values) if same_value(one, value)), None)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return None
        return float(value) if value > 0 or not self.by_magnitude else None

    def share(self, value: Any) -> float | None:
        """Returns where a value lies between the lowest, 0, and the highest, 1."""
        place = self.at(value)
        if place is None:
            return None
        low, high = self.ends
        if self.by_magnitude:
            return math.log(place / low) / math.log(high / low)
        return (place - low) / (high - low) if high > low else 0.5

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest place."""
        if isinstance(self.domain, ChoiceDomain):
            return 0.0, float(len(self.domain.values) - 1)
        return float(self.domain.low), float(self.domain.high)

    @property
    def marks(self) -> Mapping[float, str]:
        """Some places, with what is written there."""
        if isinstance(self.domain, ChoiceDomain):
            return {float(i): printable(short(value), LABEL) for i, value in enumerate(self.domain.values)}
        low, high = self.ends
        places = MaxNLocator(MARKS - 1, integer=isinstance(self.domain, IntDomain)).tick_values(low, high)
        inside = _between(places, low, high)
        if self.by_magnitude:
            dense = (_between(LogLocator(subs=subs).tick_values(low, high), low, high) for subs in DENSE)
            inside = next((marks for marks in dense if len(marks) < MARKS), inside)
        return {place: short(place) for place in (inside if len(inside) > 1 else (low, high))}

    def draw_across(self, axes: Axes) -> None:
        """Makes the setting's values the horizontal axis."""
        marks = self.marks
        if self.by_magnitude:
            axes.set_xscale("log")
        axis, (low, high) = axes.xaxis, self.ends
        axis.set_major_locator(FixedLocator(list(marks)))
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
        axis.set_major_formatter(FuncFormatter(lambda place, _: marks.get(place, f"{place:g}")))
        if self.by_magnitude:
            axes.set_xlim(low / (high / low) ** 0.05, high * (high / low) ** 0.05)
        else:
            more = 0.5 if isinstance(self.domain, ChoiceDomain) else 0.06 * (high - low)
            axes.set_xlim(low - more, high + more)
        axes.set_xlabel(self.label)


def _between(places: Iterable[float], low: float, high: float) -> list[float]:
    return [float(place) for place in places if low * (1 - 1e-9) <= place <= high * (1 + 1e-9)]


def readable(axis: Axis, *, whole: bool = False) -> None:
    """Gives an axis few round marks."""
    axis.set_major_locator(MaxNLocator(MARKS, integer=whole))
