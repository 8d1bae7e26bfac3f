"""The figures of a benchmark for reading: the methods in the order of their regret, and how it fell with time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tuning.bench.comparison import LEVEL, REFERENCE
from tuning.bench.surrogate import SAMPLE

SHOWN = (0.25, 0.5, 0.75)


def table(figures: Mapping[str, Mapping[str, Any]], settings: Mapping[str, Any]) -> list[RenderableType]:
    """Returns what was run, the table, and how to read it."""
    shares: Sequence[float] = settings["shares"]
    places = [min(range(len(shares)), key=lambda i: abs(shares[i] - shown)) for shown in SHOWN]
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    drawn.add_column("method", no_wrap=True)
    titles = ("regret", "SE", f"less {REFERENCE}", f"{LEVEL:.0%} interval", *(f"{s:.0%}" for s in SHOWN), "trials")
    for title in (*titles, "epochs"):
        drawn.add_column(title, justify="right", no_wrap=True)
    for method, row in sorted(figures.items(), key=lambda item: item[1]["mean_regret"]):
        along = [f"{row['curve'][place]:.3f}" for place in places]
        counts = [f"{row['trials']:.0f}", f"{row['epochs']:.0f}"]
        cells = [f"{row['mean_regret']:.3f}", f"{row['standard_error']:.3f}", *_difference(row), *along, *counts]
        drawn.add_row(method, *cells)
    return [Text(_heading(settings)), drawn, Text(_legend())]


def _difference(row: Mapping[str, Any]) -> tuple[str, str]:
    if row["difference"] is None:
        return "", ""
    found = row["difference"]
    return f"{found['mean']:+.3f}", f"{found['low']:+.3f} to {found['high']:+.3f}"


def _heading(settings: Mapping[str, Any]) -> str:
    return (
        f"LCBench, {len(settings['tasks'])} tasks x {settings['seeds']} seeds, {settings['workers']} workers, "
        f"time for {settings['budget']:g} full trainings"
    )


def _legend() -> str:
    return (
        f"regret: 0 is the best of {SAMPLE:,} random full trainings, 1 their median; also at shares of the time. "
        f"less {REFERENCE}: paired by task and seed, above 0 speaks for {REFERENCE}; "
        "SE and interval by bootstrap over tasks, seeds within."
    )
