"""Figure 6: the score by the number of FusionNets K, for each class and on average."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator
from numpy.typing import NDArray

from pamfn.figures.style import Look, give_title, styled
from pamfn.metrics import CLIP

COLUMNS, TICKS = 3, 8


def centre_and_band(scores_F: NDArray[np.float64]) -> tuple[float, float, float]:
    """Returns the Fisher-z mean of folds' correlations, and one standard error to either side; NaN for one fold."""
    z_F = np.arctanh(np.clip(scores_F, -CLIP, CLIP))
    error = z_F.std(ddof=1) / np.sqrt(len(z_F)) if len(z_F) > 1 else np.nan
    centre = z_F.mean()
    return float(np.tanh(centre)), float(np.tanh(centre - error)), float(np.tanh(centre + error))


@styled
def draw(
    nets_K: NDArray[np.int64],
    scores: Mapping[str, NDArray[np.float64]],
    *,
    title: str,
) -> Figure:
    """Draws one panel a class; the last one is set apart as their average.

    Args:
        nets_K: The numbers of FusionNets that were tried, ascending.
        scores: For each class, and last for their average if there are several, the correlation of each fold,
            (number tried, folds).
        title: What the figure is of.
    """
    columns = min(len(scores), COLUMNS)
    rows = -(-len(scores) // columns)
    figure = Figure(figsize=(max(5.2, 0.8 + 3.2 * columns), 1.2 + 2.7 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels[len(scores) :]:
        axes.set_axis_off()
    for index, (axes, (name, scores_KF)) in enumerate(zip(panels, scores.items(), strict=False)):
        average = len(scores) > 1 and index == len(scores) - 1
        look = Look(index)
        colour, line, thick = ("black", "-", 2.4) if average else (look.colour, look.line, 1.8)
        centre, low, high = np.array([centre_and_band(scores_F) for scores_F in scores_KF]).T
        axes.fill_between(nets_K, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(nets_K, centre, color=colour, linestyle=line, linewidth=thick, marker=look.marker)
        best = int(np.argmax(centre))
        axes.plot(nets_K[best], centre[best], "o", markersize=13, markerfacecolor="none", markeredgecolor="black")
        axes.set_title(f"{name}: best at K = {nets_K[best]}", fontweight="bold" if average else "normal")
        axes.xaxis.set_major_locator(
            FixedLocator(nets_K.tolist()) if len(nets_K) <= TICKS else MaxNLocator(integer=True)
        )
        axes.tick_params(labelbottom=index + columns >= len(scores))
        if index % columns == 0:
            axes.set_ylabel("Spearman's ρ, held-out folds")
        if index + columns >= len(scores):
            axes.set_xlabel("number of FusionNets K")
    give_title(figure, title)
    return figure
