"""The figures of two studies side by side: their learning curves, and their best by class."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pamfn.data.rules import counted
from pamfn.figures.style import Look
from tuning.report.against import Pair, classes
from tuning.report.comparing import labels_of, scores_by_fold
from tuning.report.drawing import Drawing, plainly, printable
from tuning.report.paired import back, corrected
from tuning.report.ticks import readable

AVERAGE = "average"
Reach = tuple[float, float, float]


def both_curves(both: Pair) -> Drawing:
    """Returns the learning curves of the trials that ran their full budget, the best of each study drawn strongly."""
    names = [study.name for study in both.studies]
    ends = ", ".join(f"{name} {best.score:.3f}" for name, best in zip(names, both.best, strict=True))
    finished = [sum(trial.finished for trial in study.trials) for study in both.studies]
    words = (
        f"{both.studies[0].metric.words} on the held-out folds by epoch, of {counted(finished[0], 'finished trial')} "
        f"of {names[0]} and {finished[1]} of {names[1]}. The best end at: {ends}."
    )
    caption = "Thick: the best trial of each study. Thin: its other trials that ran their full budget."
    return Drawing("curves", "Learning curves of both", words, _curves(both), caption)


def by_class(both: Pair) -> Drawing | None:
    """Returns the best of each study by class and on average; None where one lacks a fold."""
    reaches = [_reaches(both, place) for place in (0, 1)]
    if not all(reaches):
        return None
    rows = [*classes(both.studies[0]), *([AVERAGE] if len(classes(both.studies[0])) > 1 else [])]
    told = [
        f"{row}: {', '.join(f'{s.name} {r[i][0]:.3f}' for s, r in zip(both.studies, reaches, strict=True))}"
        for i, row in enumerate(rows)
    ]
    words = f"The best trial of each study by class, with 95% intervals over folds. {'; '.join(told)}."
    caption = (
        "Intervals are t intervals over folds with Nadeau and Bengio's correction for training sets that overlap. That "
        "two of them overlap does not say that the studies do not differ: the paired difference above does."
    )
    return Drawing("classes", "The best of each by class", words, _by_class(both, rows, reaches), caption)


@plainly
def _curves(both: Pair) -> Figure:
    figure = Figure(figsize=(9.2, 4.6), layout="constrained")
    axes = figure.subplots()
    keys = []
    for place, (study, best) in enumerate(zip(both.studies, both.best, strict=True)):
        look = Look(place)
        for trial in [*(t for t in study.trials if t.finished and t is not best), best]:
            points = [(x, y) for x, y in trial.curve if math.isfinite(y)]
            if points:
                strong: dict[str, Any] = (
                    {"linewidth": 2.8, "zorder": 5} if trial is best else {"linewidth": 0.8, "alpha": 0.5}
                )
                axes.plot(*zip(*points, strict=True), color=look.colour, linestyle=look.line, **strong)
        label = f"{'AB'[place]}, {printable(study.name, 24)}: {printable(best.name, 40)}"
        keys.append(Line2D([], [], color=look.colour, linestyle=look.line, linewidth=2.8, label=label))
    readable(axes.xaxis, whole=True)
    axes.set_xlim(0, None)
    axes.set_xlabel("epoch of phase 2 (of the first class, where classes have budgets of their own)")
    axes.set_ylabel(f"{both.studies[0].metric.words}, held-out folds")
    figure.legend(handles=keys, loc="outside lower center", ncols=1, handlelength=3.4)
    return figure


@plainly
def _by_class(both: Pair, rows: list[str], reaches: list[list[Reach]]) -> Figure:
    figure = Figure(figsize=(7.6, 1.3 + 0.52 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, (study, mine) in enumerate(zip(both.studies, reaches, strict=True)):
        look, shift = Look(place), 0.15 if place else -0.15
        means = [mean for mean, _, _ in mine]
        errors = np.array([[mean - low, high - mean] for mean, low, high in mine]).T
        ys = np.arange(len(rows)) + shift
        marks: dict[str, Any] = {"marker": look.marker, "markersize": 6.5, "capsize": 4, "linewidth": 1.8}
        label = f"{'AB'[place]}, {printable(study.name, 30)}"
        axes.errorbar(means, ys, xerr=errors, linestyle="none", color=look.colour, label=label, **marks)
    axes.set_yticks(range(len(rows)), [printable(row, 24) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_ylabel("class")
    axes.set_xlabel(f"{both.studies[0].metric.words}, held-out folds (95% interval)")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _reaches(both: Pair, place: int) -> list[Reach]:
    """Returns the score of a study's best by class, in the first study's order, and on average; empty if not whole."""
    study, metric = both.studies[place], both.studies[place].metric
    z_CJ = scores_by_fold(both.best[place], labels_of(both.studies[0]), metric)
    if z_CJ is None:
        return []
    averaged = [z_CJ.mean(0)] if len(z_CJ) > 1 else []
    found = [corrected(z_J) for z_J in [*z_CJ, *averaged]]
    return [back(one, fisher=study.metric.fisher) for one in found if one is not None]
