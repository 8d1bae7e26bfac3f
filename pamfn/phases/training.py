"""A training of some replicas from milestone to milestone, as a generator of reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from pamfn.phases.mould import Member, Mould
from pamfn.phases.plan import Plan
from pamfn.phases.program import Program
from pamfn.phases.replica import Replica
from pamfn.phases.report import Report, milestone_epoch
from pamfn.phases.seat import Seat
from pamfn.phases.target import Target
from pamfn.replicas.cut import cut

__all__ = ["Training", "milestone_epoch"]


class Training:
    """A resumable training of R replicas of one shape, which have a batched program to themselves.

    Replicas may differ in videos, steps an epoch, budget and rate; one that has reached a milestone rests, untouched,
    until all have.

    Args:
        mould: The shape of their networks.
        members: The replicas; at least one.
        precision: See `Program`.
    """

    def __init__(self, mould: Mould, members: Sequence[Member], *, precision: str = "float32") -> None:
        self._program = Program(mould, precision=precision)
        self._seats: list[Seat] = self._program.admit(members)

    @property
    def network(self) -> nn.Module:
        """The stacked network."""
        return self._program.network

    @property
    def parameters(self) -> int:
        """Parameters of one network, fixed branches included."""
        mine = cut(self.network, 0)
        return sum(mine[name].numel() for name, _ in self.network.named_parameters())

    @property
    def replicas(self) -> list[Replica]:
        """The replicas, in the order of their rows."""
        return [seat.replica for seat in self._seats]

    @property
    def plans(self) -> list[Plan]:
        """How each replica trains."""
        return [seat.plan for seat in self._seats]

    @property
    def targets(self) -> list[Target]:
        """What each replica learns to predict."""
        return [seat.target for seat in self._seats]

    @property
    def steps(self) -> list[int]:
        """Steps that each replica has done."""
        return [seat.steps for seat in self._seats]

    @property
    def epochs(self) -> list[int]:
        """Epochs that each replica has done."""
        return [seat.epoch for seat in self._seats]

    def run(self, milestones: Iterable[float], *, score: bool = True) -> Iterator[Report]:
        """Trains on, and yields a report at every milestone that does not lie behind.

        A milestone that rounds to the epochs that are done already is reported as well, without training: replicas of
        small budgets stand still there while those of another training, with larger ones, go on.

        Args:
            milestones: Ascending shares of the full budget, each in (0, 1].
            score: Whether to score the held-out videos at the milestones.

        Raises:
            ValueError: If a milestone is outside (0, 1].
        """
        for progress in milestones:
            goals = [seat.steps_at(progress) for seat in self._seats]
            if all(seat.steps <= goal for seat, goal in zip(self._seats, goals, strict=True)):
                for seat, goal in zip(self._seats, goals, strict=True):
                    seat.goal = goal
                while self._program.busy:
                    self._program.step()
                yield self._program.report(self._seats, progress, score=score)

    def predict(self, videos: Sequence[NDArray[np.int64]] | None = None) -> list[NDArray[np.float64]]:
        """Scores videos, each replica's held-out ones by default; in (0, 1)."""
        return self._program.predict(self._seats, videos)

    def state(self, replica: int) -> dict[str, Tensor]:
        """Returns all that one replica needs to go on, as named tensors: weights, moments, step."""
        return self._program.state(self._seats[replica])

    def whole(self, replica: int) -> dict[str, Tensor]:
        """Returns all weights and buffers of one replica's network, fixed branches included."""
        return cut(self.network, replica)

    def restore(self, replica: int, state: Mapping[str, Tensor]) -> None:
        """Puts back what `state` returned.

        Raises:
            ValueError: If the weights do not fit the network.
        """
        self._program.restore(self._seats[replica], state)
