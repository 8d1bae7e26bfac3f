"""Who was busy when: the slots of every device over the time in which the study ran, a bar a stretch of a trial."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pamfn.data.rules import counted
from pamfn.figures.style import Look
from tuning.report.drawing import Drawing, plainly, printable
from tuning.report.history import BROKEN, SOMEWHERE, History, Stretch
from tuning.report.looks import FATES, Fate, fate
from tuning.report.moments import at, in_time, unit_for
from tuning.tracking import TrialResult

ASKED = 10  # times that the devices must have been asked what they do, for a line to mean anything
NUMBERED = 0.02  # of the width that a trial's bars must take for its number to fit
SLOT = 0.2  # inches


@dataclass(frozen=True)
class Lane:
    """One slot of a place.

    Args:
        place: Which engine, or which node.
        stretches: Who was on it, in order.
    """

    place: str
    stretches: list[Stretch]


def timeline(
    past: History, trials: Sequence[TrialResult], rows: Mapping[str, Sequence[tuple[float, float]]]
) -> Drawing | None:
    """Returns the time line; None while nothing has run.

    Args:
        past: The study's journal.
        trials: The trials, for what became of them.
        rows: By engine, how many replicas trained on it, as (seconds since the epoch, number); may be empty.
    """
    found = lanes(past.stretches)
    if not found or past.seconds <= 0:
        return None
    fates = {trial.trial_id: fate(trial.reason) for trial in trials}
    slots = {place: sum(lane.place == place for lane in found) for place in past.places}
    each = ", ".join(f"{place}: {counted(number, 'slot')}" for place, number in slots.items())
    words = (
        f"Bars over {in_time(past.seconds)} in which the study ran: which trial each slot of each device trained when, "
        f"{counted(len(fates), 'trial')}. {each}."
    )
    caption = (
        f"From {at(past.launches[0][0])}. A bar reaches from a trial's start, or its last report, to its next report "
        "or its end; a first one includes the wait for a device to start and for branches. A slot holds one at a time."
    )
    if len(past.launches) > 1:
        caption += f" Vertical lines: the {len(past.launches)} launches, with the time between them left out."
    if any(lane.place == SOMEWHERE for lane in found):
        caption += f" {SOMEWHERE.capitalize()}: who runs still, or was cut off before it had said where it was."
    tips = {f"bar-{i}-{j}": _tip(stretch) for i, lane in enumerate(found) for j, stretch in enumerate(lane.stretches)}
    figure = _draw(found, past, fates, {place: rows[place] for place in sorted(rows) if len(rows[place]) >= ASKED})
    return Drawing("timeline", "Who was busy when", words, figure, caption, tips)


def lanes(stretches: Sequence[Stretch]) -> list[Lane]:
    """Returns the stretches in as few slots of each place as hold them; a trial that goes on stays in its slot."""
    found: list[Lane] = []
    lasting = [stretch for stretch in stretches if stretch.end > stretch.begin]
    for stretch in sorted(lasting, key=lambda one: (one.place, one.begin, one.trial)):
        free = [lane for lane in found if lane.place == stretch.place and lane.stretches[-1].end <= stretch.begin]
        mine = next((lane for lane in free if lane.stretches[-1].trial == stretch.trial), None)
        lane = mine or min(free, key=lambda one: one.stretches[-1].end, default=None)
        if lane is None:
            found.append(lane := Lane(stretch.place, []))
        lane.stretches.append(stretch)
    return found


class _Clock:
    """Seconds in which the study ran, by the moment: the time between launches does not count."""

    def __init__(self, launches: Sequence[tuple[float, float]]) -> None:
        self._launches, self.starts = launches, [0.0]
        for begin, end in launches:
            self.starts.append(self.starts[-1] + end - begin)

    def at(self, moment: float) -> float:
        number = max(0, bisect.bisect_right([begin for begin, _ in self._launches], moment) - 1)
        begin, end = self._launches[number]
        return self.starts[number] + min(max(moment, begin), end) - begin


@plainly
def _draw(
    found: Sequence[Lane], past: History, fates: Mapping[str, Fate], rows: Mapping[str, Sequence[tuple[float, float]]]
) -> Figure:
    heights = [max(1.2, SLOT * len(found)), *([1.3] if rows else [])]
    figure = Figure(figsize=(9.2, 1.7 + sum(heights)), layout="constrained")
    panels = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    factor, unit = unit_for(past.seconds)
    clock = _Clock(past.launches)
    _slots(panels[0], found, clock, factor, fates)
    if rows:
        _rows(panels[1], rows, clock, factor)
    for axes in panels:
        axes.set_xlim(0, past.seconds / factor)
        for start in clock.starts[1:-1]:
            axes.axvline(start / factor, color="black", linewidth=1.0)
    panels[-1].set_xlabel(f"time in which the study ran ({unit})")
    keys = [_patch(one) for one in FATES if one in {*fates.values()}]
    figure.legend(handles=keys, loc="outside lower center", ncols=min(4, max(1, len(keys))))
    return figure


def _slots(axes: Axes, found: Sequence[Lane], clock: _Clock, factor: float, fates: Mapping[str, Fate]) -> None:
    places = list(dict.fromkeys(lane.place for lane in found))
    total = clock.starts[-1] / factor
    heights, labels = [], []
    for number, lane in enumerate(found):
        y = number + 0.6 * places.index(lane.place)  # a gap between two devices
        heights.append(y)
        first = next(i for i, other in enumerate(found) if other.place == lane.place)
        labels.append(f"{printable(lane.place, 16)}, slot {number - first}")
        for j, one in enumerate(lane.stretches):
            begin, end = clock.at(one.begin) / factor, clock.at(one.end) / factor
            look = fates.get(one.trial, fate(""))
            axes.barh(y, end - begin, 0.78, begin, **_bar(look), gid=f"bar-{number}-{j}")
        _numbers(axes, lane, y, clock, factor, total)
    axes.set_yticks(heights, labels)
    axes.tick_params(axis="y", labelsize=9)
    axes.set_ylim(max(heights) + 0.6, -0.6)
    axes.set_ylabel("device and slot")
    axes.grid(visible=False, axis="y")


def _bar(look: Fate) -> dict[str, Any]:
    return {"color": look.colour, "hatch": look.hatch, "edgecolor": "white", "linewidth": 0.6, "align": "center"}


def _numbers(axes: Axes, lane: Lane, y: float, clock: _Clock, factor: float, total: float) -> None:
    """Writes a trial's number into its bars where it fits."""
    runs: list[list[Stretch]] = []
    for one in lane.stretches:
        if runs and runs[-1][-1].trial == one.trial and runs[-1][-1].end == one.begin:
            runs[-1].append(one)
        else:
            runs.append([one])
    for run in runs:
        begin, end = clock.at(run[0].begin) / factor, clock.at(run[-1].end) / factor
        label = printable(run[0].trial.lstrip("0") or "0", 6)
        if end - begin >= NUMBERED * total * max(1.0, len(label) / 2):
            box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.6}
            axes.text((begin + end) / 2, y, label, ha="center", va="center", fontsize=8, bbox=box)


def _rows(axes: Axes, rows: Mapping[str, Sequence[tuple[float, float]]], clock: _Clock, factor: float) -> None:
    for index, (place, points) in enumerate(rows.items()):
        look = Look(index)
        xs, ys = [clock.at(moment) / factor for moment, _ in points], [number for _, number in points]
        axes.step(xs, ys, where="post", color=look.colour, linestyle=look.line, label=printable(place, 16))
    axes.set_ylim(0, None)
    axes.set_ylabel("replicas\nin training")
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.1, fontsize=9, ncols=min(6, len(rows)))


def _patch(look: Fate) -> Patch:
    return Patch(facecolor=look.colour, hatch=look.hatch, edgecolor="white", label=look.name)


def _tip(stretch: Stretch) -> str:
    ended = {"": "not over", BROKEN: "broken off with its launch"}.get(stretch.outcome, stretch.outcome)
    return f"trial {stretch.trial} on {stretch.place}: {in_time(stretch.end - stretch.begin)}, {ended}"
