"""The score by each searched setting: one panel a setting, one mark a trial."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pamfn.data.rules import counted
from pamfn.seeding import generator
from tuning.conditions import matters
from tuning.domains import ChoiceDomain
from tuning.report.drawing import Drawing, plainly
from tuning.report.looks import BEST, FIRST, fate, handles
from tuning.report.ticks import Scale
from tuning.score_metric import ScoreMetric
from tuning.space_model import Space
from tuning.tracking import TrialResult
from tuning.tracking.names import short

COLUMNS = 3  # of panels, two where that fills the rows
RING: dict[str, Any] = {
    "marker": "o",
    "markersize": 11,
    "markerfacecolor": "none",
    "markeredgewidth": 1.8,
    "zorder": 4,
}
SPREAD = 0.15  # to either side of a choice, so that equal values do not hide each other


def by_setting(
    space: Space, trials: Sequence[TrialResult], best: TrialResult | None, metric: ScoreMetric
) -> Drawing | None:
    """Returns the panels; None if nothing was searched, or no trial has a score.

    Args:
        space: What was searched.
        trials: The trials.
        best: The one to set off.
        metric: What they are judged by.
    """
    scored = [trial for trial in trials if math.isfinite(trial.score)]
    if not space.search or not scored:
        return None
    words = (
        f"One panel a searched setting, one mark a trial: the score at its last completed rung by the setting's value, "
        f"{counted(len(scored), 'trial')}. {_range(space, scored, best)}"
    )
    caption = (
        "Each mark is a trial's score at its last completed rung: hollow squares were stopped and stand lower because "
        "they were measured earlier, too. Settings that did not matter to a trial are left out of their panel."
    )
    tips = {f"mark-{i}": f"{t.trial_id} {t.name}: {t.score:.3f}, {t.reason or 'running'}" for i, t in enumerate(scored)}
    return Drawing(
        "settings", "Score by each searched setting", words, _draw(space, scored, best, metric), caption, tips
    )


@plainly
def _draw(space: Space, trials: Sequence[TrialResult], best: TrialResult | None, metric: ScoreMetric) -> Figure:
    columns = 2 if len(space.search) in (2, 4) else min(COLUMNS, len(space.search))
    rows = -(-len(space.search) // columns)
    figure = Figure(
        figsize=(max(5.2, 1.0 + (3.9 if columns == 2 else 2.75) * columns), 0.9 + 2.6 * rows), layout="constrained"
    )
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axes in panels[len(space.search) :]:
        axes.set_axis_off()
    for place, (axes, name) in enumerate(zip(panels, space.search, strict=False)):
        _panel(axes, space, name, trials, best)
        if place % columns == 0:
            axes.set_ylabel(f"{metric.title}, held-out folds")
    keys = handles(trials)
    ring: dict[str, Any] = {"marker": "o", "markersize": 9, "markerfacecolor": "none", "linestyle": "none"}
    keys += [Line2D([], [], label="best", markeredgecolor=BEST, markeredgewidth=1.8, **ring)] if best else []
    if any(trial.first and trial is not best for trial in trials):
        keys.append(Line2D([], [], label="first trial", markeredgecolor=FIRST, markeredgewidth=1.8, **ring))
    figure.legend(handles=keys, loc="outside lower center", ncols=min(5, len(keys)))
    return figure


def _panel(axes: Axes, space: Space, name: str, trials: Sequence[TrialResult], best: TrialResult | None) -> None:
    scale, random = Scale(name, space.search[name]), generator(0, "spread")
    for number, trial in enumerate(trials):
        place = scale.at(trial.values.get(name)) if matters(name, space.search, trial.values) else None
        if place is None:
            continue
        if isinstance(scale.domain, ChoiceDomain):
            place += float(random.uniform(-SPREAD, SPREAD))
        look = fate(trial.reason)
        axes.plot(place, trial.score, **look.marked(4.5), zorder=3 if trial.finished else 2, gid=f"mark-{number}")
        if trial is best or trial.first:
            colour = BEST if trial is best else FIRST
            axes.plot(place, trial.score, markeredgecolor=colour, **RING)
    scale.draw_across(axes)


def _range(space: Space, trials: Sequence[TrialResult], best: TrialResult | None) -> str:
    low, high = min(trial.score for trial in trials), max(trial.score for trial in trials)
    said = f"Scores lie between {low:.3f} and {high:.3f}."
    if best is None:
        return said
    chosen = ", ".join(f"{name} {short(best.values.get(name))}" for name in space.search)
    return f"{said} The best trial has {chosen}."
