"""When the steps of a stage are: every stage but the last joins two steps of the one before, the last joins all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Clock:
    """The unit of a time axis.

    Args:
        seconds: Seconds of one segment; None where the data do not know.
    """

    seconds: float | None

    @property
    def label(self) -> str:
        """What the axis is called."""
        return "time (segments)" if self.seconds is None else "time (s)"

    def of(self, segments: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns segments in the axis's unit."""
        return segments * (1.0 if self.seconds is None else self.seconds)


def edges(steps: Sequence[int], segments: int, stages: int) -> list[NDArray[np.float64]]:
    """Returns where the steps of each stage begin and end, in segments: one more than there are steps.

    Args:
        steps: Steps of the first stages.
        segments: Segments of the video, zero-padding included.
        stages: N, of the whole network.
    """
    found, span, before = [], 1.0, segments
    for i, count in enumerate(steps):
        if i == stages - 1 and count == 1:  # the last stage's mean over all that the stage before has
            found.append(np.array([0.0, before * span]))
            break
        span *= 1 if count == before else 2
        found.append(np.arange(count + 1) * span)
        before = count
    return found
