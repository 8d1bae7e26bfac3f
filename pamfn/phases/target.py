"""What a network learns to predict: the score over C (Eq. 1), or its quantile in the training fold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata


class Target(Protocol):
    """A monotone map between annotated scores and what a sigmoid can say."""

    def encode(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Returns targets in [0, 1] of annotated scores."""
        ...

    def decode(self, targets: ArrayLike) -> NDArray[np.float64]:
        """Returns scores in the annotators' unit of predictions in [0, 1]."""
        ...


@dataclass(frozen=True)
class ScaledTarget:
    """Score / C (Eq. 1).

    Args:
        largest: C.
    """

    largest: float

    def encode(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Returns scores over C."""
        return np.asarray(scores, dtype=np.float64) / self.largest

    def decode(self, targets: ArrayLike) -> NDArray[np.float64]:
        """Returns targets times C."""
        return np.asarray(targets, dtype=np.float64) * self.largest


@dataclass(frozen=True)
class QuantileTarget:
    """The share of the training fold that scores lower, (rank - 1/2) / n, ties at their mean; linear between.

    Not in the paper: for annotations that crowd at one end, where score / C leaves almost nothing to learn.

    Args:
        scores: The distinct scores of the training fold, ascending.
        quantiles: Their quantiles.
    """

    scores: tuple[float, ...]
    quantiles: tuple[float, ...]

    @classmethod
    def fit(cls, scores: ArrayLike) -> QuantileTarget:
        """Fits the map to a training fold's scores."""
        values = np.asarray(scores, dtype=np.float64)
        distinct, where = np.unique(values, return_index=True)
        return cls(tuple(distinct), tuple(((rankdata(values) - 0.5) / len(values))[where]))

    def encode(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Returns quantiles; a score beyond the fold's range has that of its end."""
        return np.interp(np.asarray(scores, dtype=np.float64), self.scores, self.quantiles)

    def decode(self, targets: ArrayLike) -> NDArray[np.float64]:
        """Returns scores in the annotators' unit."""
        return np.interp(np.asarray(targets, dtype=np.float64), self.quantiles, self.scores)


def fit_target(kind: str, scores: ArrayLike, largest: float) -> Target:
    """Returns the map ``kind`` (scaled or quantile), fitted to a training fold.

    Raises:
        ValueError: If ``kind`` is unknown.
    """
    if kind == "scaled":
        return ScaledTarget(largest)
    if kind == "quantile":
        return QuantileTarget.fit(scores)
    raise ValueError(f"target: {kind!r} is not one of scaled, quantile")
