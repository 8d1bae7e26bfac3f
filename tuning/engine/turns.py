"""The plainest device: trials train in programs of their own, one milestone of one trial at a time."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from pamfn.data.bank import Bank
from pamfn.phases.replica import Replica
from pamfn.recipe import Recipe
from tuning.cohort import Cohort, CohortLike, CohortMaker, State
from tuning.engine.status import DeviceStatus
from tuning.milestone import Milestone
from tuning.study_data import StudyData

KIB = 1024


class TurnsDevice:
    """Trains the trials of a device by turns: nothing is shared between them but the process and the features.

    A replica-step is not counted as it happens but with the milestone it belongs to.

    Args:
        data: The study's data; the bank's device is the device.
        precision: Precision of matrix products; CPUs know one.
    """

    def __init__(self, data: StudyData, *, precision: str = "tf32") -> None:
        self._device, self._started = data.bank.device, time.time()
        self._turn, self._count = threading.Lock(), threading.Lock()
        self._busy, self._waiting, self._steps, self._replica_steps, self._seconds = 0, 0, 0, 0, 0.0
        if self._device.type == "cuda":
            torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")

    def cohorts(self) -> CohortMaker:
        """Returns what puts a trial's replicas side by side."""

        def made(
            recipe: Recipe,
            replicas: Sequence[Replica],
            bank: Bank,
            branches: Mapping[str, Sequence[State]] | None,
        ) -> CohortLike:
            return _Turns(Cohort(recipe, replicas, bank, branches), self._train)

        return made

    def status(self) -> DeviceStatus:
        """Returns what the device does; never waits for a turn."""
        with self._count:
            return DeviceStatus(
                rows_busy=self._busy,
                rows_waiting=self._waiting,
                rows_room=0 if self._busy else 1,
                programs=1 if self._busy else 0,
                steps=self._steps,
                replica_steps=self._replica_steps,
                seconds_busy=self._seconds,
                memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB,
                memory_total=0,
                utilisation=None,
                device=str(self._device),
                started=self._started,
            )

    def close(self) -> None:
        """Does nothing: there is no thread to end."""

    def _train(self, cohort: Cohort, progress: float) -> Milestone:
        """Trains a cohort to a milestone when its turn has come."""
        rows = len(cohort.names)
        with self._count:
            self._waiting += rows
        with self._turn:
            began, steps = time.monotonic(), _steps(cohort)
            with self._count:
                self._waiting, self._busy = self._waiting - rows, rows
            try:
                return cohort.train(progress)
            finally:
                after = _steps(cohort)
                with self._count:
                    self._busy = 0
                    self._steps += max(b - a for a, b in zip(steps, after, strict=True))
                    self._replica_steps += sum(after) - sum(steps)
                    self._seconds += time.monotonic() - began


def _steps(cohort: Cohort) -> list[int]:
    return [int(state["step"]) for state in cohort.states().values()]


class _Turns:
    """A cohort that waits for its turn."""

    def __init__(self, cohort: Cohort, train: Callable[[Cohort, float], Milestone]) -> None:
        self.names, self._cohort, self._train = cohort.names, cohort, train

    @property
    def parameters(self) -> int:
        """Parameters of one network."""
        return self._cohort.parameters

    def train(self, progress: float) -> Milestone:
        """Trains to a milestone."""
        return self._train(self._cohort, progress)

    def states(self) -> dict[str, dict[str, Tensor]]:
        """Returns all that each replica needs to go on."""
        return self._cohort.states()

    def restore(self, name: str, state: State) -> None:
        """Puts a replica where ``states`` found it."""
        self._cohort.restore(name, state)

    def close(self) -> None:
        """Gives back what the replicas hold."""
        self._cohort.close()
