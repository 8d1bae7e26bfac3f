"""Figure 8: how many FusionNets PolicyNet decides for over a video, stage by stage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from pamfn.figures.style import COLOURS, REFERENCE, give_title, styled
from pamfn.figures.timeline import Clock


@styled
def draw(
    decisions: Sequence[NDArray[np.int64]],
    edges: Sequence[NDArray[np.float64]],
    nets: int,
    clock: Clock,
    *,
    title: str,
    meaning: str,
) -> Figure:
    """Draws one panel a stage.

    Args:
        decisions: Decisions of each stage, 1 to K, (steps,).
        edges: Where the steps of each stage begin and end, in segments, (steps + 1,).
        nets: K.
        clock: The unit of the time axis.
        title: What the figure is of.
        meaning: What a decision c means, for the axis.
    """
    figure = Figure(figsize=(9.5, 1.1 + 1.75 * len(decisions)), layout="constrained")
    panels = figure.subplots(len(decisions), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for stage, (axes, decided_T, edges_T) in enumerate(zip(panels, decisions, edges, strict=True)):
        times_T = clock.of(edges_T)
        axes.stairs(decided_T, times_T, fill=True, color=COLOURS[5], alpha=0.45)
        axes.stairs(decided_T, times_T, baseline=None, color=COLOURS[0], linewidth=1.8)
        axes.axhline(nets, **REFERENCE)
        axes.set_title(f"stage {stage + 1}", loc="left")
    panels[0].set_ylim(0, nets * 1.06)
    panels[0].yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    panels[0].set_xlim(0, float(max(clock.of(of)[-1] for of in edges)))
    panels[-1].set_xlabel(clock.label)
    figure.supylabel(meaning, fontsize=11)
    give_title(figure, f"{title} (grey line: all {nets})")
    return figure
