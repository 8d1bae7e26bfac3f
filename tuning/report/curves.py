"""Learning curves of a study as inline SVG: every trial a line, ended where it was stopped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from tuning.tracking import TrialResult

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 860, 380, 62, 48, 14, 14
HIGHLIGHT, PLAIN, FAILED = "#0b5394", "#9aa5b1", "#b23c17"


def curves_svg(trials: Sequence[TrialResult], best: TrialResult | None) -> str:
    """Returns the curves of ``val_spearman`` by epoch; empty if no trial has a finite point.

    Args:
        trials: The trials; one that failed is drawn in red, as far as its scores were numbers.
        best: The one to draw strongly.
    """
    curves = [(trial, [(x, y) for x, y in trial.curve if math.isfinite(y)]) for trial in trials]
    points = [point for _, curve in curves for point in curve]
    if not points:
        return ""
    x_ticks = ticks(0.0, float(max(x for x, _ in points)))
    y_ticks = ticks(min(0.0, min(y for _, y in points)), max(y for _, y in points))
    frame = _Frame(x_ticks[-1], y_ticks[0], y_ticks[-1])
    drawn = sorted(curves, key=lambda pair: pair[0] is best)
    lines = "".join(_line(trial, curve, frame, strong=trial is best) for trial, curve in drawn if curve)
    summary = f"Learning curves of {len(trials)} trials; the best trial, {best.name if best else 'none'}, is dark blue."
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(summary)}">'
        f"{_axes(x_ticks, y_ticks, frame)}{lines}</svg>"
    )


def ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Returns round numbers, evenly spaced, from at most ``low`` to at least ``high``."""
    span = max(high - low, 1e-9)
    power = 10.0 ** math.floor(math.log10(span / about))
    step = next(step * power for step in (1, 2, 5, 10) if span / (step * power) <= about)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * index, 10) for index in range(first, max(last, first + 1) + 1)]


class _Frame:
    """Maps epochs and scores to the drawing's units."""

    def __init__(self, x_high: float, y_low: float, y_high: float) -> None:
        self._x_high, self._y_low, self._y_high = x_high, y_low, y_high

    def x(self, value: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * value / self._x_high, 1)

    def y(self, value: float) -> float:
        share = (value - self._y_low) / (self._y_high - self._y_low)
        return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share, 1)


def _line(trial: TrialResult, curve: Sequence[tuple[int, float]], frame: _Frame, *, strong: bool) -> str:
    failed = trial.reason.startswith("failed")
    colour = HIGHLIGHT if strong else FAILED if failed else PLAIN
    width, opacity = (2.6, 1.0) if strong else (1.2, 0.75)
    path = " ".join(f"{frame.x(x)},{frame.y(y)}" for x, y in curve)
    end_x, end_y = frame.x(curve[-1][0]), frame.y(curve[-1][1])
    title = f"<title>{escape(trial.name)}: {escape(trial.reason or 'running')}</title>"
    return (
        f'<g stroke="{colour}" fill="{colour}" opacity="{opacity}">{title}'
        f'<polyline points="{path}" fill="none" stroke-width="{width}"/>'
        f'<circle cx="{end_x}" cy="{end_y}" r="{2.4 if not strong else 3.6}" stroke="none"/></g>'
    )


def _axes(x_ticks: Sequence[float], y_ticks: Sequence[float], frame: _Frame) -> str:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    across = "".join(
        f'<line x1="{LEFT}" x2="{right}" y1="{frame.y(y)}" y2="{frame.y(y)}" class="grid"/>'
        f'<text x="{LEFT - 8}" y="{frame.y(y) + 4}" text-anchor="end">{y:g}</text>'
        for y in y_ticks
    )
    down = "".join(
        f'<line x1="{frame.x(x)}" x2="{frame.x(x)}" y1="{bottom}" y2="{bottom + 5}" class="tick"/>'
        f'<text x="{frame.x(x)}" y="{bottom + 19}" text-anchor="middle">{x:g}</text>'
        for x in x_ticks
    )
    titles = (
        f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 8}" text-anchor="middle">epoch of phase 2</text>'
        f'<text transform="translate(16 {(TOP + bottom) / 2}) rotate(-90)" text-anchor="middle">'
        "Spearman correlation, held-out folds</text>"
    )
    return across + down + titles
