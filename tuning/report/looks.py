"""How trials look in the figures of a report, by what became of them: told apart by shape and by lightness as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.lines import Line2D

from pamfn.figures.style import COLOURS
from tuning.tracking import TrialResult

BEST, FIRST = "#000000", COLOURS[2]
GREY = "#8a949e"


@dataclass(frozen=True)
class Fate:
    """What can become of a trial.

    Args:
        name: In words.
        colour: Of its line, or its bar.
        marker: At the end of its line.
        hatch: Of its bar.
        filled: Whether its marker is filled.
        width: Of its line.
    """

    name: str
    colour: str
    marker: str
    hatch: str
    filled: bool
    width: float

    def marked(self, size: float) -> dict[str, Any]:
        """Returns how its marker is drawn."""
        face = self.colour if self.filled else "white"
        return {
            "marker": self.marker,
            "markersize": size,
            "markerfacecolor": face,
            "markeredgecolor": self.colour,
            "linestyle": "none",
        }


FINISHED = Fate("finished", COLOURS[0], "o", "", filled=True, width=1.3)
STOPPED = Fate("stopped", GREY, "s", "", filled=False, width=0.8)
WAITS = Fate("waits or paused", COLOURS[3], "D", "....", filled=False, width=0.9)
FAILED = Fate("failed", COLOURS[1], "X", "xxxx", filled=True, width=1.0)
RUNNING = Fate("running", COLOURS[5], ">", "////", filled=True, width=1.0)
ENDED = Fate("ended with the study", COLOURS[4], "v", "----", filled=False, width=0.9)

FATES = (FINISHED, STOPPED, WAITS, FAILED, RUNNING, ENDED)
_WORDS = {"finished": FINISHED, "stopped": STOPPED, "paused": WAITS, "waits": WAITS, "failed": FAILED, "": RUNNING}


def fate(reason: str) -> Fate:
    """Returns what became of a trial by its ``status_reason``."""
    return _WORDS.get(reason.replace(":", " ").split(" ")[0], ENDED)


def counts(trials: Sequence[TrialResult]) -> dict[Fate, int]:
    """Returns how many trials there are of each fate, without those that there are none of."""
    found = [fate(trial.reason) for trial in trials]
    return {one: found.count(one) for one in FATES if one in found}


def handles(trials: Sequence[TrialResult]) -> list[Line2D]:
    """Returns the entries of a legend with the fates that there are."""
    return [Line2D([], [], label=f"{one.name} ({number})", **one.marked(5)) for one, number in counts(trials).items()]


def numbers(trials: Sequence[TrialResult]) -> str:
    """Returns the fates in words: ``9 finished, 88 stopped``."""
    return ", ".join(f"{number} {one.name}" for one, number in counts(trials).items())
