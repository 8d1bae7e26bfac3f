"""How figures look: told apart by colour, by line and by marker, so that neither grey print nor any eye loses them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

P = ParamSpec("P")

# Okabe and Ito's palette for every kind of colour vision, without its yellow, which is too pale for a line on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
REFERENCE: dict[str, Any] = {"color": "#7f7f7f", "linestyle": "-", "linewidth": 1.0, "zorder": 1.5}
CHARACTERS_AN_INCH = 10  # of a title
STREAMS = {"rgb": "RGB", "flow": "optical flow", "audio": "audio"}

_SETTINGS: dict[Any, Any] = {
    "font.size": 11,
    "figure.titlesize": 12,
    "axes.titlesize": 11,
    "axes.labelsize": 11,
    "legend.fontsize": 10.5,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
}


@dataclass(frozen=True)
class Look:
    """How one of several curves is drawn; colours, lines and markers repeat at different intervals.

    Args:
        index: Which curve.
    """

    index: int

    @property
    def colour(self) -> str:
        """Its colour."""
        return COLOURS[self.index % len(COLOURS)]

    @property
    def line(self) -> Any:
        """Its line style."""
        return LINES[self.index % len(LINES)]

    @property
    def marker(self) -> str:
        """Its marker."""
        return MARKERS[self.index % len(MARKERS)]


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Returns a drawing function that draws in this style, whatever the process has set elsewhere."""

    @wraps(draw)
    def within(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with rc_context(_SETTINGS):
            return draw(*args, **kwargs)

    return within


def stream_name(modality: str) -> str:
    """Returns what a figure calls a modality."""
    return STREAMS.get(modality, modality)


def key(index: int, label: str) -> Line2D:
    """Returns a legend's entry of a curve, with its line and its marker."""
    look = Look(index)
    return Line2D([], [], color=look.colour, linestyle=look.line, marker=look.marker, label=label)


def give_title(figure: Figure, text: str) -> None:
    """Sets a figure's title, in as many lines as its width asks for."""
    figure.suptitle("\n".join(textwrap.wrap(text, int(figure.get_figwidth() * CHARACTERS_AN_INCH))))
