"""Figure 6 of the paper from a study: the score by the number of FusionNets K, for each class and on average."""

from __future__ import annotations

import numpy as np

from pamfn.data.rules import counted
from pamfn.figures.fusion_nets import centre_and_band, draw
from pamfn.figures.study_table import NETS, scores_of
from tuning.report.drawing import Drawing, plainly, printable
from tuning.report.files import results_table
from tuning.tracking import StudyResults

_draw = plainly(draw)


def by_nets(results: StudyResults) -> Drawing | None:
    """Returns the figure; None if K was not searched, or fewer than two values of it ran their full budget.

    It is of correlations: the paper's highlight detectors are not told apart by K.
    """
    if NETS not in results.space.search or not results.metric.fisher:
        return None
    try:
        found = scores_of(results_table(results))
    except ValueError:  # no trial has run its full budget
        return None
    if len(found.nets_K) < 2:
        return None
    counts = sorted(set(found.tried.values()))
    tries = counted(counts[0], "trial") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} trials"
    last = list(found.scores)[-1]
    centres = [centre_and_band(scores_F)[0] for scores_F in found.scores[last]]
    best = int(found.nets_K[int(np.argmax(centres))])
    each = ", ".join(f"K {nets}: {centre:.3f}" for nets, centre in zip(found.nets_K, centres, strict=True))
    words = f"Spearman's correlation on the held-out folds by K, one panel a class. {last}: {each}. Best at K = {best}."
    caption = (
        f"The layout of the paper's Figure 6. Each K at the best of the {tries} that ran the full budget with it; "
        "band: one standard error of the folds to either side. The best of more trials looks better by luck alone"
    )
    told = ", ".join(f"K {nets}: {number}" for nets, number in found.tried.items())
    panels = {printable(name, 20): scores_KF for name, scores_KF in found.scores.items()}
    figure = _draw(found.nets_K, panels, title="")
    return Drawing("nets", "Score by the number of FusionNets", words, figure, f"{caption} ({told}).")
