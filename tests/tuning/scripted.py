"""Searches of trials whose curves are written down beforehand, run without Ray on a clock of turns."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tuning.domains import ChoiceDomain, FloatDomain
from tuning.search import Journal, Region, SearchSettings, StudySearch

PROGRESS = (1 / 9, 1 / 3, 1.0)
REGION = Region(
    {
        "lr": FloatDomain(type="float", low=1e-3, high=1.0, log=True),
        "stages": ChoiceDomain(type="choice", values=[1, 2, 3]),
    }
)
FIRST = {"lr": 0.1, "stages": 2}


def search(journal: Journal | None = None, *, region: Region = REGION, **changes: Any) -> StudySearch:
    """A search of up to 12 random trials, three at once, of which a third goes on."""
    settings = {"seed": 0, "concurrent": 3, "trials": 12, "first": FIRST, "searcher": "random", **changes}
    return StudySearch(region, SearchSettings(**settings), journal)


def result(rung: int, score: Any, **changes: Any) -> dict[str, Any]:
    """A result at a rung, of three that a full budget has."""
    return {"rung": rung, "val_spearman": score, "progress": PROGRESS[rung], **changes}


def started(made: StudySearch, count: int) -> list[str]:
    """Starts trials and returns their ids."""
    works = [made.next() for _ in range(count)]
    assert all(works)
    return [work.trial for work in works]


def score(config: Mapping[str, Any], rung: int) -> float:
    """A score that a configuration has at a rung; a large learning rate diverges at the second."""
    if config["lr"] > 0.6 and rung > 0:
        return math.nan
    return math.tanh(0.3 * rung - abs(math.log10(config["lr"]) + 1.5) - 0.1 * config["stages"])


def reports(made: StudySearch) -> list[tuple[str, int, str]]:
    """What was decided on every report, in order: trial, rung, verdict."""
    return [(e["trial"], e["rung"], e["verdict"]) for e in made.journal.events if e["event"] == "reported"]


class Cluster:
    """Runs what a search asks for, and lets one trial after another report, in an order of its own.

    Args:
        made: The search.
        order: Says which of the running trials reports next.
        at: The rung that each trial reports next; a trial that was cut off goes on from its checkpoint.
    """

    def __init__(
        self,
        made: StudySearch,
        order: Callable[[Sequence[str]], str] | None = None,
        at: dict[str, int] | None = None,
    ) -> None:
        self.search, self.at = made, {} if at is None else at
        self.running: list[str] = []
        self._order = order or random.Random(1).choice

    def turn(self) -> bool:
        """Starts what there is to start and lets one trial report; returns whether there was one."""
        while (work := self.search.next()) is not None:
            self.running.append(work.trial)
            self.at.setdefault(work.trial, 0)
        if not self.running:
            return False
        trial = self._order(sorted(self.running))
        rung, config = self.at[trial], self.search.trials[trial].config
        verdict = self.search.report(trial, result(rung, score(config, rung)))
        self.at[trial] = rung + 1
        if verdict.action != "goes on":
            self.running.remove(trial)
        return True

    def run(self, turns: int = 10_000) -> StudySearch:
        """Lets the trials report until nothing is left to run."""
        while turns and self.turn():
            turns -= 1
        return self.search


def endings(made: StudySearch) -> dict[str, str]:
    """Every trial's reason."""
    return {held.trial: held.reason for held in made.trials.values()}
