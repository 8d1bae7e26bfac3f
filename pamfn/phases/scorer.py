"""The held-out videos of a program's replicas, scored whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from pamfn.phases.batch import read_by
from pamfn.phases.cache import FeatureCache
from pamfn.phases.mould import Mould
from pamfn.phases.pending import Pending
from pamfn.phases.scoring import Said, predicting
from pamfn.phases.seat import Seat
from pamfn.replicas.captured import Captured, Recorder
from pamfn.replicas.noise import Noise
from pamfn.replicas.pack import Pack
from pamfn.replicas.segments import Segments
from pamfn.seeding import derive

MOST = 4  # recordings of a network's evaluation; each holds a batch of features


class Scored:
    """A network that scores, which a GPU need not be told of batch by batch: recorded for each shape of a batch.

    Args:
        network: The network.
        pack: Its tensors.
        said: What is asked for of its output.
        recorder: Records what it launches; None launches it every time.
    """

    def __init__(self, network: nn.Module, pack: Pack, said: Said, recorder: Recorder | None) -> None:
        self.network, self.pack, self._said = network, pack, said
        self._at = pack.generation
        self._captured = Captured(self._forward, lambda: [], lambda: [], recorder, MOST)

    def __call__(self, x: dict[str, Tensor], lengths_RB: Tensor, maps: Mapping[str, list[Tensor]]) -> Tensor:
        """Returns what is asked for, such as scores (R, B).

        Args:
            x: Features by stream.
            lengths_RB: Lengths of the videos.
            maps: Those of the branches that it is without.
        """
        if self._at != self.pack.generation:
            self._captured.forget()
            self._at = self.pack.generation
        inputs = {f"x/{name}": of for name, of in x.items()} | {"lengths": lengths_RB}
        inputs |= {f"map/{name}/{i}": of for name, by_stage in maps.items() for i, of in enumerate(by_stage)}
        return self._captured((self.pack.layout,), inputs)

    def _forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        x = {name.removeprefix("x/"): of for name, of in inputs.items() if name.startswith("x/")}
        maps: dict[str, list[Tensor]] = {}
        for name, of in inputs.items():
            if name.startswith("map/"):
                maps.setdefault(name.split("/", 2)[1], []).append(of)
        segments = Segments(next(iter(x.values())).shape[2], inputs["lengths"])
        return self._said(self.network(x, segments, None, **({"given": maps} if maps else {})))


class Scorer:
    """Scores some or all replicas of a program.

    Args:
        mould: The shape of their networks.
        cache: The maps of their fixed branches, where the networks are built without them.
        whole: The program's own network.
        recorder: Records evaluations; None launches them every time.
    """

    def __init__(self, mould: Mould, cache: FeatureCache | None, whole: Scored, recorder: Recorder | None) -> None:
        self._mould, self._cache, self._whole, self._recorder = mould, cache, whole, recorder
        self._spare: Scored | None = None

    def forget(self) -> None:
        """Gives back the memory of the network that some of the replicas are copied into."""
        self._spare = None

    def _copied(self, seats: Sequence[Seat]) -> Scored:
        """Returns a network of some of the replicas, their rows copied; the next call overwrites it."""
        if self._spare is None:
            network, axis = self._mould.network()
            pack = Pack(network, axis, self._mould.is_head, trains=False)
            self._spare = Scored(network, pack, self._mould.objective.said, self._recorder)
        mine = self._spare.pack
        mine.resize([seat.nets for seat in seats])
        mine.copy_from(self._whole.pack, [(row, seat.row) for row, seat in enumerate(seats)])
        return self._spare

    def predicting(
        self, seats: Sequence[Seat], videos: Sequence[NDArray[np.int64]] | None, *, every: bool
    ) -> Pending[list[NDArray[np.float64]]]:
        """Has videos scored; see `pamfn.phases.scoring.predicting`.

        Args:
            seats: The replicas.
            videos: Indices of the videos of each; the held-out ones if None.
            every: Whether they are all of the program, in the order of its rows.
        """
        scored = self._whole if every else self._copied(seats)
        asked = [seat.replica.valid for seat in seats] if videos is None else videos
        bank = read_by(self._mould, seats)

        def noise(videos_R: NDArray[np.int64]) -> Noise:  # a function of replica, step and video, not of company
            seeds = [derive(s.replica.seed, "evaluation", v) for s, v in zip(seats, videos_R.tolist(), strict=True)]
            return Noise(seeds, [seat.steps for seat in seats], bank.device)

        def given(videos_RB: NDArray[np.int64], steps: int) -> dict[str, list[Tensor]]:
            assert self._cache is not None
            return self._cache.whole([seat.claim for seat in seats if seat.claim is not None], videos_RB, steps)

        noisy, cached = seats[0].plan.evaluation_noise, self._cache is not None
        draw, kept = noise if noisy else None, given if cached else None
        said = self._mould.objective.said
        return predicting(scored.network, bank, asked, noise=draw, given=kept, said=said, forward=scored)
