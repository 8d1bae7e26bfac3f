"""In which order a replica sees its videos: a pure function of seed and step, so a resumed training continues it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pamfn.data.bank import ABSENT
from pamfn.data.clips import crop_starts
from pamfn.seeding import generator


class Order:
    """Batches of one replica, shuffled and cropped anew every epoch.

    The last short batch is kept, but a last batch of one joins the one before, since one video has no variance.

    Args:
        videos: Indices of the training videos.
        lengths: Segments of each of them.
        seed: The replica's seed.
        batch_size: Videos a batch.
        clip: Segments a clip.
    """

    def __init__(
        self, videos: NDArray[np.int64], lengths: NDArray[np.int64], *, seed: int, batch_size: int, clip: int
    ) -> None:
        self._videos, self._lengths, self._seed, self._clip = videos, lengths, seed, clip
        self._batch_size = batch_size
        full, rest = divmod(len(videos), batch_size)
        self.steps = max(full + (rest > 1), 1)
        self.largest = largest_batch(len(videos), batch_size)
        self._epoch = -1
        self._order: NDArray[np.int64] = videos
        self._starts: NDArray[np.int64] = lengths

    def batch(self, step: int, room: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns the videos and first segments of a step's batch, padded with absent videos to ``room``."""
        epoch, index = divmod(step, self.steps)
        if epoch != self._epoch:
            self._shuffle(epoch)
        first = index * self._batch_size
        last = len(self._order) if index == self.steps - 1 else first + self._batch_size
        videos = np.full(room, ABSENT, dtype=np.int64)
        starts = np.zeros(room, dtype=np.int64)
        videos[: last - first] = self._order[first:last]
        starts[: last - first] = self._starts[first:last]
        return videos, starts

    def _shuffle(self, epoch: int) -> None:
        order = generator(self._seed, "order", epoch).permutation(len(self._videos))
        starts = crop_starts(self._lengths, self._clip, generator(self._seed, "crops", epoch))
        self._epoch, self._order, self._starts = epoch, self._videos[order], starts[order]


def largest_batch(videos: int, batch_size: int) -> int:
    """Returns the videos of the largest batch of an epoch: one more than asked for where one would be left alone."""
    full, rest = divmod(videos, batch_size)
    return min(batch_size + (rest == 1 and full > 0), videos)
