"""What a study's journal says beyond its runs: who trained when and where, and what each stretch of it took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning.search.journal import FILE, Event, JournalError
from tuning.storage import is_remote
from tuning.study_search import journal_at

SOMEWHERE = "somewhere"  # of a stretch that ended before anybody said where it was
BROKEN = "broken off"


@dataclass(frozen=True)
class Stretch:
    """A trial at work without a break: from its start, or from a report, to its next report or its end.

    Args:
        trial: Its id.
        place: Which engine, or which node, it was on.
        begin: When it began, in seconds since the epoch.
        end: When it ended.
        outcome: ``goes on``, ``waits``, why the trial ended, ``broken off`` with its launch, or empty while it lasts.
    """

    trial: str
    place: str
    begin: float
    end: float
    outcome: str


@dataclass(frozen=True)
class History:
    """A journal, gone through.

    Args:
        launches: When each launch began and when it wrote for the last time.
        stretches: All stretches, by their end.
        results: By trial, everything it has reported.
    """

    launches: tuple[tuple[float, float], ...]
    stretches: tuple[Stretch, ...]
    results: Mapping[str, Sequence[Mapping[str, Any]]]

    @property
    def seconds(self) -> float:
        """How long all launches together have run."""
        return sum(end - begin for begin, end in self.launches)

    @property
    def last(self) -> float:
        """When the journal was written for the last time, in seconds since the epoch."""
        return self.launches[-1][1]

    @property
    def places(self) -> tuple[str, ...]:
        """Where trials have trained, by name, as far as anybody said."""
        found = {stretch.place for stretch in self.stretches}
        return tuple(sorted(found - {SOMEWHERE} or found, key=lambda name: (len(name), name)))


def read_history(folder: str) -> History | str:
    """Returns what the journal in a study's folder says, or why there is nothing to say."""
    if not is_remote(folder) and not Path(folder, FILE).exists():
        return f"there is no {FILE} beside this report"
    try:
        events = journal_at(folder).events
        return history(events) if events else f"{FILE} is empty"
    except JournalError as error:
        return str(error)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return f"{FILE} tells of what cannot have happened ({error!r})"


def history(events: Sequence[Event]) -> History:
    """Returns a journal's events as launches, stretches and results."""
    seen = _Seen()
    for event in events:
        seen.take_in(event)
    return seen.told()


class _Seen:
    """What is known after some of the events."""

    def __init__(self) -> None:
        self.launches: list[list[float]] = []
        self.stretches: list[Stretch] = []
        self.results: dict[str, list[Mapping[str, Any]]] = {}
        self.begun: dict[str, float] = {}
        self.at: dict[str, str] = {}
        self.nodes: dict[str, str] = {}

    def take_in(self, event: Event) -> None:
        kind, now, trial = event["event"], float(event["time"]), event.get("trial", "")
        if kind == "launched" or not self.launches:
            self._launched(now)
        self.launches[-1][1] = now
        if kind in ("suggested", "promoted"):
            self.begun[trial] = now
        elif kind == "reported":
            self.results.setdefault(trial, []).append(event["result"])
            self.at[trial] = self._place(event["result"])
            self._over([trial], now, event["reason"] or event["verdict"])
            if event["verdict"] == "goes on":
                self.begun[trial] = now
        elif kind == "ended":
            self._over([trial], now, event["reason"])

    def told(self) -> History:
        """Returns it all; what has not ended lasts to the newest event."""
        running = [self._stretch(trial, self.launches[-1][1], "") for trial in self.begun] if self.launches else []
        launches = tuple((begin, end) for begin, end in self.launches)
        return History(launches, (*self.stretches, *running), self.results)

    def _launched(self, now: float) -> None:
        """Breaks off what the launch before left running; this one goes on with it."""
        if self.launches:
            left = list(self.begun)
            self._over(left, self.launches[-1][1], BROKEN)
            self.begun |= dict.fromkeys(left, now)
        self.launches.append([now, now])

    def _over(self, trials: Iterable[str], now: float, outcome: str) -> None:
        for trial in trials:
            if trial in self.begun:
                self.stretches.append(self._stretch(trial, now, outcome))
                del self.begun[trial]

    def _stretch(self, trial: str, now: float, outcome: str) -> Stretch:
        return Stretch(trial, self.at.get(trial, SOMEWHERE), self.begun[trial], now, outcome)

    def _place(self, result: Mapping[str, Any]) -> str:
        if result.get("engine") is not None:
            return f"engine {result['engine']}"
        if result.get("node") is None:
            return SOMEWHERE
        return self.nodes.setdefault(str(result["node"]), f"node {len(self.nodes)}")
