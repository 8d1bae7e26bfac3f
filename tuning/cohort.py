"""Replicas of a trial that train side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor

from pamfn.data.bank import Bank
from pamfn.phases.branches import branch_states, branch_training
from pamfn.phases.closed import ClosedTraining
from pamfn.phases.fusion import training_of
from pamfn.phases.memory import replicas_at_once
from pamfn.phases.replica import Replica
from pamfn.phases.report import Report
from pamfn.phases.training import Training
from pamfn.recipe import Recipe
from tuning.milestone import Milestone, found

State = Mapping[str, Tensor]


class CohortLike(Protocol):
    """Replicas of one trial that train side by side, wherever their rows are."""

    names: list[str]

    @property
    def parameters(self) -> int:
        """Parameters of one network, fixed branches included."""
        ...

    def train(self, progress: float) -> Milestone:
        """Trains to a milestone, and returns what came of it."""
        ...

    def states(self) -> dict[str, dict[str, Tensor]]:
        """Returns by name all that each replica needs to go on, here or in another cohort."""
        ...

    def restore(self, name: str, state: State) -> None:
        """Puts a replica where ``states`` found it."""
        ...

    def close(self) -> None:
        """Gives back what the replicas hold; they train no further."""
        ...


class CohortMaker(Protocol):
    """Puts replicas of a trial side by side: `Cohort` does, in programs of their own."""

    @property
    def together(self) -> bool:
        """Whether branches of all modalities are best trained at once, or by whoever is free, a modality a time."""
        ...

    def __call__(
        self,
        recipe: Recipe,
        replicas: Sequence[Replica],
        bank: Bank,
        branches: Mapping[str, Sequence[State]] | None,
    ) -> CohortLike:
        """Returns the replicas of a trial, ready to train; the arguments are those of `Cohort`."""
        ...

    def branches(
        self, recipe: Recipe, modality: str, replicas: Sequence[Replica], bank: Bank, *, score: bool
    ) -> tuple[Report, list[dict[str, Tensor]]]:
        """Trains one modality's branch for every replica.

        Args:
            recipe: The trial's settings.
            modality: Stream to read.
            replicas: One branch for each.
            bank: Features of the videos.
            score: Whether to score the held-out videos.

        Returns:
            What came of it, and each branch as a state dict.
        """
        ...


class Cohort:
    """Networks in training: one batched program, or as many as the memory asks for, one after the other.

    A replica's numbers do not depend on who is beside it; on how many there are they depend by rounding alone, since
    the library takes another matrix kernel for another size. Learning rates that shake the weights about magnify that.

    Args:
        recipe: The trial's settings.
        replicas: One network for each.
        bank: Features of the videos.
        branches: Pretrained branches: by modality, a state dict for each replica; None trains in one stage.
    """

    def __init__(
        self,
        recipe: Recipe,
        replicas: Sequence[Replica],
        bank: Bank,
        branches: Mapping[str, Sequence[State]] | None,
    ) -> None:
        self.names = [replica.name for replica in replicas]
        self._trainings: list[Training | ClosedTraining] = []
        room = replicas_at_once(recipe, bank.widths, len(replicas), bank.device)
        for first in range(0, len(replicas), room):
            some = slice(first, first + room)
            mine = None if branches is None else {m: states[some] for m, states in branches.items()}
            self._trainings.append(training_of(recipe, replicas[some], bank, mine))
        self._rows = {name: (t, row) for t in self._trainings for row, name in enumerate(r.name for r in t.replicas)}

    together = False

    @staticmethod
    def branches(
        recipe: Recipe, modality: str, replicas: Sequence[Replica], bank: Bank, *, score: bool
    ) -> tuple[Report, list[dict[str, Tensor]]]:
        """Trains one modality's branch for every replica, in a program of their own; see `CohortMaker`."""
        training = branch_training(recipe, modality, replicas, bank)
        (report,) = training.run([1.0], score=score)
        return report, branch_states(training)

    @property
    def parameters(self) -> int:
        """Parameters of one network, fixed branches included."""
        return self._trainings[0].parameters

    def train(self, progress: float) -> Milestone:
        """Trains to a milestone, and returns what came of it."""
        reports = [report for training in self._trainings for report in training.run([progress])]
        return found(progress, self.names, reports)

    def states(self) -> dict[str, dict[str, Tensor]]:
        """Returns by name all that each replica needs to go on, here or in another cohort."""
        return {name: training.state(row) for name, (training, row) in self._rows.items()}

    def restore(self, name: str, state: State) -> None:
        """Puts a replica where ``states`` found it.

        Raises:
            ValueError: If the weights do not fit the network.
        """
        training, row = self._rows[name]
        training.restore(row, state)

    def close(self) -> None:
        """Does nothing: the memory goes with the programs."""
