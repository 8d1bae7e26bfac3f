"""A study's data on the way into engines: read once, kept in the cluster's memory, used there by all of a node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ray

from pamfn.data.features import Contents, contents_of
from tuning.engine.resident import one_line
from tuning.study import Study
from tuning.study_data import split_data


class Delivery:
    """Brings a study's data to its engines, and to every process that takes a lost one's place.

    Args:
        study: The study.
        engines: The engines' actors.

    Attributes:
        numerics: What the numbers of the first engine that took the data depend on; None before.
        failed: By engine, why it could not take them.
    """

    def __init__(self, study: Study, engines: Sequence[Any]) -> None:
        reading = ray.remote(num_cpus=0, num_returns=2, max_retries=3, max_calls=1)(_read)
        self._data = reading.remote(study)
        self._engines = engines
        self._pending: dict[int, Any] = {}
        self.numerics: dict[str, str] | None = None
        self.failed: dict[int, str] = {}
        for engine in range(len(engines)):
            self.bring(engine)

    def bring(self, engine: int) -> None:
        """Gives the data to an engine that has none, unless they are on their way to it."""
        if engine not in self._pending:
            self._pending[engine] = self._engines[engine].load.remote(*self._data)

    def look(self) -> None:
        """Takes in what has come of it so far."""
        numbers = {reference: engine for engine, reference in self._pending.items()}
        done, _ = ray.wait(list(numbers), num_returns=len(numbers), timeout=0) if numbers else ([], [])
        for reference in done:
            engine = numbers[reference]
            del self._pending[engine]
            try:
                numerics = ray.get(reference)
            except ray.exceptions.RayTaskError as error:
                self.failed[engine] = one_line(error.cause)
            except ray.exceptions.RayActorError as error:
                if error.actor_init_failed:
                    self.failed[engine] = str(error).strip().splitlines()[-1]
            else:
                self.numerics = self.numerics or numerics

    @property
    def hopeless(self) -> bool:
        """Whether all engines have failed, and none ever had the data."""
        return self.numerics is None and len(self.failed) == len(self._engines)


def _read(study: Study) -> tuple[Contents, dict[str, dict[str, Any]]]:
    """Runs as a task: returns what is known of a study's training videos, and their features, to be put in memory.

    Raises:
        ValueError: If the shards changed since the study started.
    """
    features, bank = split_data(study, ("train",), "cpu")
    return Contents(**contents_of(features, range(len(features)))), bank.arrays()
