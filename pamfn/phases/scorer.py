"""The held-out videos of a program's replicas, scored whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from pamfn.phases.batch import read_by
from pamfn.phases.cache import FeatureCache
from pamfn.phases.mould import Mould
from pamfn.phases.pending import Pending
from pamfn.phases.scoring import predicting
from pamfn.phases.seat import Seat
from pamfn.replicas.noise import Noise
from pamfn.replicas.pack import Pack
from pamfn.seeding import derive


class Scorer:
    """Scores some or all replicas of a program.

    Args:
        mould: The shape of their networks.
        cache: The maps of their fixed branches, where the networks are built without them.
    """

    def __init__(self, mould: Mould, cache: FeatureCache | None) -> None:
        self._mould, self._cache = mould, cache
        self._spare: tuple[nn.Module, Pack] | None = None

    def forget(self) -> None:
        """Gives back the memory of `copied`."""
        self._spare = None

    def copied(self, pack: Pack, seats: Sequence[Seat]) -> nn.Module:
        """Returns a network of some of the replicas, their rows copied; the next call overwrites it."""
        if self._spare is None:
            network, axis = self._mould.network()
            self._spare = network, Pack(network, axis, self._mould.is_head, trains=False)
        network, mine = self._spare
        mine.resize([seat.nets for seat in seats])
        mine.copy_from(pack, [(row, seat.row) for row, seat in enumerate(seats)])
        return network

    def predicting(
        self, seats: Sequence[Seat], videos: Sequence[NDArray[np.int64]] | None, network: nn.Module
    ) -> Pending[list[NDArray[np.float64]]]:
        """Has videos scored; see `pamfn.phases.scoring.predicting`.

        Args:
            seats: The replicas.
            videos: Indices of the videos of each; the held-out ones if None.
            network: The network of these replicas, in their order.
        """
        asked = [seat.replica.valid for seat in seats] if videos is None else videos
        bank = read_by(self._mould, seats)

        def noise(videos_R: NDArray[np.int64]) -> Noise:  # a function of replica, step and video, not of company
            seeds = [derive(s.replica.seed, "evaluation", v) for s, v in zip(seats, videos_R.tolist(), strict=True)]
            return Noise(seeds, [seat.steps for seat in seats], bank.device)

        def given(videos_RB: NDArray[np.int64], steps: int) -> dict[str, list[Tensor]]:
            assert self._cache is not None
            return self._cache.whole([seat.claim for seat in seats if seat.claim is not None], videos_RB, steps)

        noisy, cached = seats[0].plan.evaluation_noise, self._cache is not None
        return predicting(
            network,
            bank,
            asked,
            noise=noise if noisy else None,
            given=given if cached else None,
            said=self._mould.objective.said,
        )
