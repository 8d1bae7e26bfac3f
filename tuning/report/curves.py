"""Learning curves of a study: every trial a line, ended where it was stopped, and the rungs where that is decided."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, StrMethodFormatter

from pamfn.data.rules import counted
from tuning.report.drawing import Drawing, plainly, printable
from tuning.report.looks import BEST, FIRST, fate, handles, numbers
from tuning.report.ticks import readable
from tuning.score_metric import ScoreMetric
from tuning.tracking import TrialResult

APART = 6  # times the first rung that the last must be for epochs to be drawn by magnitude
_AT_RUNG = re.compile(r"(?:stopped|paused) at rung (\d+)")

Points = list[tuple[int, float]]


def curves(trials: Sequence[TrialResult], best: TrialResult | None, metric: ScoreMetric) -> Drawing | None:
    """Returns the learning curves; None if no trial has a point that is a number.

    Args:
        trials: The trials.
        best: The one to draw strongly.
        metric: What they are judged by.
    """
    lines = {trial.trial_id: _finite(trial) for trial in trials}
    drawn = [trial for trial in trials if lines[trial.trial_id]]
    if not drawn:
        return None
    first = next((trial for trial in trials if trial.first), None)
    rungs = rung_epochs(trials)
    stopped = [f"{_stopped(trials, rung)} at epoch {epoch} (rung {rung})" for rung, epoch in rungs.items()]
    words = (
        f"One line a trial: {metric.words} on the held-out folds by epoch, {counted(len(drawn), 'trial')}: "
        f"{numbers(drawn)}. Ended at the rungs: {', '.join(stopped) or 'none'}. {_told('The best trial', best)} "
        f"{_told('The first trial', first if first is not best else None)}"
    )
    tips = {f"trial-{i}": f"{t.trial_id} {t.name}: {t.reason or 'running'}" for i, t in enumerate(drawn)}
    caption = "A line ends where its trial ended; point at one for its settings. Grey verticals are the rungs."
    figure = _draw(drawn, lines, best, first, rungs, metric)
    return Drawing("curves", "Learning curves", words.strip(), figure, caption, tips)


def rung_epochs(trials: Sequence[TrialResult]) -> dict[int, int]:
    """Returns the epochs of the rungs that trials have ended at; none of a rung that lies at several."""
    found: dict[int, set[int]] = {}
    for trial in trials:
        match = _AT_RUNG.match(trial.reason)
        if match or trial.finished:
            found.setdefault(int(match[1]) if match else trial.rung, set()).add(trial.epochs)
    return {rung: epochs.pop() for rung, epochs in sorted(found.items()) if rung >= 0 and len(epochs) == 1}


@plainly
def _draw(
    trials: Sequence[TrialResult],
    lines: dict[str, Points],
    best: TrialResult | None,
    first: TrialResult | None,
    rungs: dict[int, int],
    metric: ScoreMetric,
) -> Figure:
    figure = Figure(figsize=(9.2, 5.2), layout="constrained")
    axes = figure.subplots()
    for place, trial in enumerate(trials):
        _line(axes, trial, lines[trial.trial_id], f"trial-{place}", above=trial in (best, first))
    keys = handles(trials)
    special: dict[str, tuple[TrialResult | None, dict[str, Any]]] = {
        "first": (None if first is best else first, {"color": FIRST, "linestyle": (0, (5, 1.5)), "linewidth": 2.4}),
        "best": (best, {"color": BEST, "linestyle": "-", "linewidth": 2.4}),
    }
    for said, (one, look) in special.items():
        if one is not None and lines[one.trial_id]:
            axes.plot(*zip(*lines[one.trial_id], strict=True), zorder=5, **look)
            keys.append(Line2D([], [], label=f"{said}: {printable(one.name, 40)}", **look))
    _epochs(axes, [x for points in lines.values() for x, _ in points], rungs)
    _rungs(axes, trials, rungs)
    axes.set_ylabel(f"{metric.words}, held-out folds")
    figure.legend(handles=keys, loc="outside lower center", ncols=min(3, len(keys)), handlelength=2.6)
    return figure


def _line(axes: Axes, trial: TrialResult, points: Points, gid: str, *, above: bool) -> None:
    look = fate(trial.reason)
    xs, ys = zip(*points, strict=True)
    order = 4 if above else 3 if trial.finished else 2
    axes.plot(xs, ys, color=look.colour, linewidth=look.width, alpha=0.8, zorder=order, gid=gid)
    axes.plot(xs[-1:], ys[-1:], **look.marked(4), zorder=order + 0.5)


def _epochs(axes: Axes, epochs: Sequence[int], rungs: dict[int, int]) -> None:
    """Draws epochs by magnitude where rungs are: they lie at multiples, and most trials end at the first."""
    marks = list(rungs.values())
    axes.set_xlabel("epoch of phase 2 (of the first class, where classes have budgets of their own)")
    if len(marks) > 1 and marks[-1] >= APART * marks[0]:
        axes.set_xscale("log")
        low = max(1, min(epochs))
        axes.set_xlim(low * 0.95, max(epochs) * 1.12)
        axes.xaxis.set_major_locator(FixedLocator(sorted({low, *marks}) if low <= marks[0] / 2 else marks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        readable(axes.xaxis, whole=True)


def _rungs(axes: Axes, trials: Sequence[TrialResult], rungs: dict[int, int]) -> None:
    above = axes.get_xaxis_transform()
    for rung, epoch in rungs.items():
        axes.axvline(epoch, color="#5d6875", linestyle=(0, (1, 1.5)), linewidth=1.2, zorder=1)
        gone = _stopped(trials, rung)
        finished = sum(trial.finished and trial.rung == rung for trial in trials)
        said = f"{finished} finished" if finished else f"{gone} stopped"
        axes.text(epoch, 1.01, f"rung {rung}\n{said}", transform=above, ha="center", va="bottom", fontsize=9)


def _stopped(trials: Sequence[TrialResult], rung: int) -> int:
    return sum(bool((m := _AT_RUNG.match(trial.reason)) and int(m[1]) == rung) for trial in trials)


def _finite(trial: TrialResult) -> Points:
    return [(x, y) for x, y in trial.curve if math.isfinite(y)]


def _told(who: str, trial: TrialResult | None) -> str:
    if trial is None or not math.isfinite(trial.score):
        return ""
    return f"{who}, {trial.name}, ends at {trial.score:.3f} after {counted(trial.epochs, 'epoch')}."
