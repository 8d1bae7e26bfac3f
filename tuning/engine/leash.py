"""Cohorts that can be called back: they stop at a milestone once their trial was let go."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from torch import Tensor

from pamfn.data.bank import Bank
from pamfn.phases.replica import Replica
from pamfn.phases.report import Report
from pamfn.recipe import Recipe
from tuning.cohort import CohortLike, CohortMaker, State
from tuning.milestone import Milestone


class LetGo(Exception):  # noqa: N818  # reads as what happened
    """The engine holds the trial no more, or for another caller."""


def leashed(cohorts: CohortMaker, released: threading.Event) -> CohortMaker:
    """Returns what makes the same cohorts, which raise `LetGo` at the next milestone once the event is set."""
    return _LeashedMaker(cohorts, released)


class _LeashedMaker:
    """Makes cohorts, and trains branches, until their trial is let go."""

    def __init__(self, cohorts: CohortMaker, released: threading.Event) -> None:
        self._cohorts, self._released = cohorts, released

    @property
    def together(self) -> bool:
        """Whether branches of all modalities are best trained at once."""
        return self._cohorts.together

    def __call__(
        self,
        recipe: Recipe,
        replicas: Sequence[Replica],
        bank: Bank,
        branches: Mapping[str, Sequence[State]] | None,
    ) -> CohortLike:
        """Returns the replicas of a trial, ready to train."""
        if self._released.is_set():
            raise LetGo
        return _Leashed(self._cohorts(recipe, replicas, bank, branches), self._released)

    def branches(
        self, recipe: Recipe, modality: str, replicas: Sequence[Replica], bank: Bank, *, score: bool
    ) -> tuple[Report, list[dict[str, Tensor]]]:
        """Trains one modality's branch for every replica."""
        if self._released.is_set():
            raise LetGo
        return self._cohorts.branches(recipe, modality, replicas, bank, score=score)


class _Leashed:
    """A cohort that trains until its trial is let go."""

    def __init__(self, cohort: CohortLike, released: threading.Event) -> None:
        self.names, self._cohort, self._released = cohort.names, cohort, released

    @property
    def parameters(self) -> int:
        """Parameters of one network."""
        return self._cohort.parameters

    def train(self, progress: float) -> Milestone:
        """Trains to a milestone.

        Raises:
            LetGo: If the trial was let go.
        """
        if self._released.is_set():
            raise LetGo
        return self._cohort.train(progress)

    def states(self) -> dict[str, dict[str, Tensor]]:
        """Returns all that each replica needs to go on."""
        return self._cohort.states()

    def restore(self, name: str, state: State) -> None:
        """Puts a replica where ``states`` found it."""
        self._cohort.restore(name, state)

    def close(self) -> None:
        """Gives the rows back."""
        self._cohort.close()
