"""Random search: every configuration is drawn from the space and trained in full."""

from __future__ import annotations

from collections.abc import Mapping

from pamfn.seeding import generator
from tuning.bench.simulation import Answer, Assignment
from tuning.domains import Domain
from tuning.search.drawing import draw


class RandomSearch:
    """Draws without end and stops nothing.

    Args:
        domains: The space.
        seed: Decides the configurations.
    """

    def __init__(self, domains: Mapping[str, Domain], seed: int) -> None:
        self._domains, self._generator, self._begun = domains, generator(seed, "random search"), 0

    def ask(self) -> Assignment:
        """Returns a new trial."""
        self._begun += 1
        return Assignment(f"{self._begun - 1:04d}", draw(self._domains, self._generator))

    def report(self, trial: str, epoch: int, accuracy: float) -> Answer:
        """Lets the trial go on."""
        return "goes on"
