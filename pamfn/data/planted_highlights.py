"""Planted highlights: the segments of a performance that the hidden process makes stand out.

How much a segment stands out is a weighted sum of the parts that `pamfn.data.hidden` shows to the modalities, each its
own: one modality alone sees some of it. Annotators see it with noise of their own and call the highest segments of a
class highlights, those next to them borderline, as YouTube Highlights does: match 1, 0 and -1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pamfn.data.hidden import SHOWN, Array, Performances
from pamfn.highlights.average_precision import mean_average_precision
from pamfn.highlights.labels import shares

SHARE, BORDERLINE = 0.3, 0.1  # of the segments of a class


@dataclass(frozen=True, eq=False)
class Marked:
    """The annotated segments of a class.

    Args:
        matches_S: 1 for a highlight, 0 for a borderline segment, -1 for any other; videos one after the other.
        scores_V: Share of highlights of each video.
        best: Best reachable mean average precision: that of how much segments stand out, without annotators' noise.
    """

    matches_S: NDArray[np.float32]
    scores_V: Array
    best: float


def mark(
    hidden: Performances,
    weights: Mapping[str, float],
    there_VT: NDArray[np.bool_],
    *,
    annotators: float,
    visible_in: str | None,
    rng: np.random.Generator,
) -> Marked:
    """Has annotators mark the segments of performances.

    Args:
        hidden: The performances.
        weights: Share of each part in the variance of how much a segment stands out.
        there_VT: Which time steps a video has.
        annotators: The annotators' noise, relative to the spread of what they mark.
        visible_in: The one modality that everything is shown in, if so: the best reachable is then that of what it
            shows, weighted as least squares would. None for all modalities.
        rng: Source of the noise.
    """
    stands_out_VT = np.asarray(sum(np.sqrt(share) * hidden.parts[part] for part, share in weights.items()))
    stands_out_S = stands_out_VT[there_VT]
    seen_S = stands_out_S / stands_out_S.std() + annotators * rng.standard_normal(len(stands_out_S))
    borderline, highlight = np.quantile(seen_S, [1 - SHARE - BORDERLINE, 1 - SHARE])
    matches_S = np.select([seen_S > highlight, seen_S > borderline], [1.0, 0.0], -1.0).astype(np.float32)
    ends = np.cumsum(there_VT.sum(1))[:-1]
    matches = np.split(matches_S, ends)
    reachable_S = stands_out_S if visible_in is None else _visible(hidden, visible_in, there_VT, stands_out_S)
    return Marked(
        matches_S,
        scores_V=shares(matches_S, there_VT.sum(1)),
        best=mean_average_precision(np.split(reachable_S, ends), matches),
    )


def _visible(hidden: Performances, modality: str, there_VT: NDArray[np.bool_], stands_out_S: Array) -> Array:
    """Returns the part of how much segments stand out that is linear in what one modality shows of quality."""
    places = [SHOWN.index(place) for place in ("common", "private", "contextual")]
    shown_SP = hidden.views[modality][there_VT][:, places]
    return np.asarray(shown_SP @ np.linalg.lstsq(shown_SP, stands_out_S)[0])
