"""Random search: every configuration is drawn from the space and trained in full."""

from __future__ import annotations

from pamfn.seeding import generator
from tuning.bench.methods import Setting
from tuning.bench.simulation import Answer, Assignment
from tuning.region import Region


class RandomSearch:
    """Draws without end and stops nothing."""

    def __init__(self, setting: Setting) -> None:
        self._region, self._generator, self._begun = (
            Region(setting.domains),
            generator(setting.seed, "random search"),
            0,
        )

    def ask(self) -> Assignment:
        """Returns a new trial."""
        self._begun += 1
        return Assignment(f"{self._begun - 1:04d}", self._region.draw(self._generator))

    def report(self, trial: str, epoch: int, accuracy: float) -> Answer:
        """Lets the trial go on."""
        return "goes on"


random_search = RandomSearch
