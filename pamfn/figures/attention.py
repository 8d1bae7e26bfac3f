"""Figure 7: MSFD's attention to each modality over a video, stage by stage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from pamfn.figures.style import REFERENCE, Look, give_title, key, stream_name, styled
from pamfn.figures.timeline import Clock

MARKERS_A_LINE = 12


@styled
def draw(
    weights: Sequence[NDArray[np.float64]],
    edges: Sequence[NDArray[np.float64]],
    modalities: Sequence[str],
    clock: Clock,
    *,
    title: str,
) -> Figure:
    """Draws one panel a stage and one line a modality.

    Args:
        weights: Weights of each stage, (heads, M, steps); the mean over heads is shown.
        edges: Where the steps of each stage begin and end, in segments, (steps + 1,).
        modalities: The M names.
        clock: The unit of the time axis.
        title: What the figure is of.
    """
    figure = Figure(figsize=(9.5, 1.3 + 1.75 * len(weights)), layout="constrained")
    panels = figure.subplots(len(weights), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for stage, (axes, weights_HMT, edges_T) in enumerate(zip(panels, weights, edges, strict=True)):
        times_T = clock.of(edges_T)
        for index, weights_T in enumerate(weights_HMT.mean(0)):
            look, every = Look(index), max(1, -(-len(weights_T) // MARKERS_A_LINE))
            axes.step(
                times_T,
                np.append(weights_T, weights_T[-1]),  # the last step reaches to its end
                where="post",
                color=look.colour,
                linestyle=look.line,
            )
            shift = index * every // len(modalities)  # so that markers of equal weights stand side by side
            marked = slice(shift if len(weights_T) > every else 0, None, every)
            middles_T = (times_T[:-1] + times_T[1:]) / 2
            axes.plot(middles_T[marked], weights_T[marked], look.marker, color=look.colour)
        axes.axhline(1 / len(modalities), **REFERENCE)
        axes.set_ylabel("attention")
        axes.set_title(f"stage {stage + 1}", loc="left")
    panels[0].set_ylim(0, None)
    panels[0].set_xlim(0, float(max(clock.of(of)[-1] for of in edges)))
    panels[-1].set_xlabel(clock.label)
    keys = [key(index, stream_name(name)) for index, name in enumerate(modalities)]
    keys.append(Line2D([], [], label=f"equal shares (1/{len(modalities)})", **REFERENCE))
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), handlelength=3.5)
    give_title(figure, title + ("" if len(weights[0]) == 1 else f", mean of {len(weights[0])} heads"))
    return figure
