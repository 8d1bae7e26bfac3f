"""Figure 5: how often PolicyNet decides for each number of FusionNets, stage by stage, beside a uniform choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from pamfn.figures.style import REFERENCE, Look, give_title, styled

SPREAD = 0.4  # of the classes around a decision
TICKS = 12


def frequencies(decisions: Sequence[NDArray[np.int64]], nets: int) -> NDArray[np.float64]:
    """Returns the share of each decision from 1 to K among all steps of all videos, (K,).

    Args:
        decisions: Decisions of each video's steps.
        nets: K.
    """
    counts = np.bincount(np.concatenate(decisions) - 1, minlength=nets)
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares


@styled
def draw(shares: Mapping[str, Sequence[NDArray[np.float64]]], *, title: str, meaning: str) -> Figure:
    """Draws one panel a stage and one curve a class.

    Args:
        shares: For each class, the `frequencies` of each stage.
        title: What the figure is of.
        meaning: What a decision c means, for the axis.
    """
    stages = max(len(of) for of in shares.values())
    figure = Figure(figsize=(1.2 + 3.1 * max(stages, 2), 4.1), layout="constrained")
    panels = figure.subplots(1, stages, sharey=True, squeeze=False)[0]
    for stage, axes in enumerate(panels):
        axes.set_title(f"stage {stage + 1}")
        axes.set_xlabel(meaning)
        nets = 1
        for index, (name, of) in enumerate(shares.items()):
            look, nets = Look(index), max(nets, len(of[stage]))
            shift = SPREAD * (index - (len(shares) - 1) / 2) / len(shares)  # so that no marker hides another's
            axes.plot(
                np.arange(1, len(of[stage]) + 1) + shift,
                of[stage],
                color=look.colour,
                linestyle=look.line,
                marker=look.marker,
                label=name,
            )
        axes.axhline(1 / nets, label=f"uniform (1/{nets})", **REFERENCE)
        axes.set_xlim(0.5, nets + 0.5)
        every = range(1, nets + 1)
        axes.xaxis.set_major_locator(FixedLocator(every) if nets <= TICKS else MaxNLocator(integer=True))
    panels[0].set_ylabel("share of all steps")
    panels[0].set_ylim(bottom=0)
    panels[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 5), handlelength=3)
    give_title(figure, title)
    return figure
