"""Training clips: a run of consecutive segments from a random place of each video (Sec. IV-C)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def crop_starts(lengths: ArrayLike, clip: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Returns the first segment of one clip a video, uniform over the places where the clip fits.

    A video no longer than the clip starts at 0. One start serves all modalities of a video.

    Args:
        lengths: Segments of each video, any shape.
        clip: Segments of a clip: 70 for Rhythmic Gymnastics, 130 for Fis-V.
        generator: Source of the draws; each video takes one, whatever its length.

    Raises:
        ValueError: If ``clip`` is below 1.
    """
    if clip < 1:
        raise ValueError(f"clip: {clip} is below 1 segment")
    last = np.maximum(np.asarray(lengths, dtype=np.int64) - clip, 0)
    return np.asarray(np.floor(generator.random(last.shape) * (last + 1)), dtype=np.int64)
