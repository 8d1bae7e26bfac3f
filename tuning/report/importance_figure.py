"""The importance of the searched settings as bars, each with what chance alone would make of it."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from pamfn.figures.style import COLOURS
from tuning.report.drawing import Drawing, plainly, printable
from tuning.report.importance import CHANCE, FEWEST, Importances

UNSURE = "#b9c1c9"


def importance_figure(found: Importances | None) -> Drawing | None:
    """Returns the bars; None where nothing can be said."""
    if found is None:
        return None
    sure = [one for one in found.settings if one.sure]
    each = ", ".join(f"{one.name} {one.share:.0%} (chance: below {one.by_chance:.0%})" for one in found.settings)
    told = f"More than chance: {', '.join(one.name for one in sure)}." if sure else "None is more than chance."
    words = f"Bars: the share of importance of each searched setting: {each}. {told}"
    caption = (
        f"How much each setting matters to be among the best {found.best} of {found.trials} trials with a score "
        "(PED-ANOVA, by Optuna), in shares of one whole. Trials are ordered by how far they came, then by their score. "
        f"The black line is what a setting that means nothing stays below {CHANCE:.0%} of the time: {told[0].lower()}"
        f"{told[1:]}"
    )
    return Drawing("importance", "Importance of the searched settings", words, _draw(found), caption)


def too_few(trials: int, settings: int) -> str:
    """Returns why there are no bars."""
    if settings < 2:
        return "One searched setting alone has nothing to be compared with."
    return f"Too few trials have a score to say which settings matter: {trials}, of {FEWEST} that it takes."


@plainly
def _draw(found: Importances) -> Figure:
    settings = found.settings[::-1]
    figure = Figure(figsize=(8.0, 1.5 + 0.42 * len(settings)), layout="constrained")
    axes = figure.subplots()
    for place, one in enumerate(settings):
        colour = COLOURS[0] if one.sure else UNSURE
        axes.barh(place, one.share, color=colour, height=0.62, hatch="" if one.sure else "////", edgecolor="white")
        axes.plot([one.by_chance] * 2, [place - 0.4, place + 0.4], color="black", linewidth=2)
        axes.annotate(
            f"{one.share:.0%}",
            (max(one.share, one.by_chance), place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=10,
        )
    axes.set_yticks(range(len(settings)), [printable(one.name, 24) for one in settings])
    axes.set_xlim(0, 1.12 * max(max(one.share, one.by_chance) for one in settings))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("share of the importance of all searched settings (%)")
    axes.set_ylabel("setting")
    axes.grid(visible=False, axis="y")
    keys = [
        Patch(facecolor=COLOURS[0], label="more than chance"),
        Patch(facecolor=UNSURE, hatch="////", edgecolor="white", label="not more than chance"),
        Line2D([], [], color="black", linewidth=2, label=f"chance ({CHANCE:.0%})"),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=3)
    return figure
