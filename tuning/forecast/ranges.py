"""A quantity that is not known exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Range:
    """A mean, and where nine of ten values lie.

    Args:
        mean: The mean.
        low: One of twenty values is below this.
        high: One of twenty values is above this.
    """

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float], scale: float = 1.0) -> Range:
        """Returns the range of some values, each multiplied by ``scale``."""
        low, high = np.percentile(values, [5, 95])
        return cls(scale * float(np.mean(values)), scale * float(low), scale * float(high))

    def widened(self, low: float, high: float) -> Range:
        """Returns the range with its ends multiplied."""
        return Range(self.mean, self.low * low, self.high * high)

    def __add__(self, other: Range) -> Range:
        return Range(self.mean + other.mean, self.low + other.low, self.high + other.high)
