"""Parallel coordinates: every trial a line through its values of all searched settings, ending at its score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pamfn.data.rules import counted
from tuning.conditions import matters
from tuning.report.drawing import Drawing, plainly, printable
from tuning.report.looks import BEST, FINISHED, FIRST, STOPPED
from tuning.report.ticks import Scale
from tuning.score_metric import ScoreMetric
from tuning.space_model import Space
from tuning.tracking import TrialResult

WIDTH = 1.75  # inches of an axis
WIDEST = 24.0


def parallel(
    space: Space, trials: Sequence[TrialResult], best: TrialResult | None, metric: ScoreMetric
) -> Drawing | None:
    """Returns the lines; None if fewer than two settings were searched, or no trial has a score.

    Args:
        space: What was searched.
        trials: The trials.
        best: The one to draw strongly.
        metric: What they are judged by.
    """
    scored = sorted((t for t in trials if math.isfinite(t.score)), key=lambda t: (t.finished, t.score))
    if len(space.search) < 2 or not scored:
        return None
    finished = [trial for trial in scored if trial.finished]
    words = (
        f"One line a trial through vertical axes, one a searched setting ({', '.join(space.search)}), and last its "
        f"score: {counted(len(scored), 'trial')}, {len(finished)} of them finished."
    )
    words += f" The best trial is {best.name}." if best else ""
    caption = (
        "Blue: trials that ran their full budget; grey: those that were ended before, at the score of their last rung. "
        "A line has a gap where a setting did not matter to its trial."
    )
    tips = {f"line-{i}": f"{t.trial_id} {t.name}: {t.score:.3f}, {t.reason or 'running'}" for i, t in enumerate(scored)}
    figure = _draw(space, scored, best, metric)
    return Drawing("parallel", "All settings side by side", words, figure, caption, tips)


@plainly
def _draw(space: Space, trials: Sequence[TrialResult], best: TrialResult | None, metric: ScoreMetric) -> Figure:
    scales = [Scale(name, domain) for name, domain in space.search.items()]
    count = len(scales) + 1
    figure = Figure(figsize=(min(WIDEST, max(7.0, 0.9 + WIDTH * count)), 4.9), layout="constrained")
    axes = figure.subplots()
    low, high = _span([trial.score for trial in trials])
    for number, trial in enumerate(trials):
        ys = [_share(scale, space, trial) for scale in scales] + [(trial.score - low) / (high - low)]
        axes.plot(range(count), ys, gid=f"line-{number}", **_look(trial, best))
    _axes_of(axes, [(scale.label, _places(scale)) for scale in scales] + [_score_axis(metric, low, high)])
    keys = [
        Line2D([], [], color=FINISHED.colour, linewidth=1.6, label="finished"),
        Line2D([], [], color=STOPPED.colour, linewidth=0.8, label="ended before, or running"),
    ]
    keys += [Line2D([], [], color=BEST, linewidth=2.6, label="best")] if best else []
    if any(trial.first and trial is not best for trial in trials):
        keys.append(Line2D([], [], color=FIRST, linewidth=2.2, linestyle=(0, (5, 1.5)), label="first trial"))
    figure.legend(handles=keys, loc="outside lower center", ncols=4, handlelength=2.8)
    return figure


def _look(trial: TrialResult, best: TrialResult | None) -> dict[str, Any]:
    if trial is best:
        return {"color": BEST, "linewidth": 2.6, "zorder": 6}
    if trial.first:
        return {"color": FIRST, "linewidth": 2.2, "linestyle": (0, (5, 1.5)), "zorder": 5}
    if trial.finished:
        return {"color": FINISHED.colour, "linewidth": 1.4, "alpha": 0.85, "zorder": 4}
    return {"color": STOPPED.colour, "linewidth": 0.7, "alpha": 0.6, "zorder": 2}


def _axes_of(axes: Axes, of: Sequence[tuple[str, Sequence[tuple[float, str]]]]) -> None:
    """Draws the vertical axes with their values, and what each is below it."""
    axes.set_xlim(-0.25, len(of) - 0.55)
    axes.set_ylim(-0.04, 1.04)
    axes.yaxis.set_visible(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.grid(visible=False)
    for place, (_, marks) in enumerate(of):
        axes.axvline(place, color="#3a4552", linewidth=1.0, zorder=1)
        for share, label in marks:
            axes.plot([place - 0.02, place], [share, share], color="#3a4552", linewidth=1.0, zorder=7)
            box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
            axes.text(place + 0.025, share, label, va="center", ha="left", fontsize=9, zorder=8, bbox=box)
    axes.set_xticks(range(len(of)), [_wrapped(label) for label, _ in of], fontsize=10)
    axes.tick_params(axis="x", length=0, pad=6)


def _places(scale: Scale) -> list[tuple[float, str]]:
    low, high = scale.ends
    places = []
    for place, label in scale.marks.items():
        if scale.by_magnitude:
            places.append((math.log(place / low) / math.log(high / low), label))
        else:
            places.append(((place - low) / (high - low) if high > low else 0.5, label))
    return places


def _score_axis(metric: ScoreMetric, low: float, high: float) -> tuple[str, list[tuple[float, str]]]:
    marks = [float(m) for m in MaxNLocator(6).tick_values(low, high) if low <= m <= high]
    return f"score: {metric.title}", [((mark - low) / (high - low), f"{mark:g}") for mark in marks]


def _span(scores: Sequence[float]) -> tuple[float, float]:
    low, high = min(scores), max(scores)
    return (low, high) if high - low > 1e-9 else (low - 0.05, high + 0.05)


def _share(scale: Scale, space: Space, trial: TrialResult) -> float:
    known = matters(scale.name, space.search, trial.values)
    share = scale.share(trial.values.get(scale.name)) if known else None
    return math.nan if share is None else share


def _wrapped(label: str) -> str:
    """Returns a label in lines as long as an axis is wide."""
    lines, most = [""], 15
    for word in printable(label, 44).split(" "):
        if len(lines[-1]) + len(word) >= most and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
