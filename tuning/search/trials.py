"""What a journal says of every trial: its configuration, its reports, and whether it runs, waits or has ended."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tuning.domains import frozen_value
from tuning.search.noise import standard_error
from tuning.search.proposing import Observation
from tuning.search.reading import Reading, read


@dataclass
class SearchedTrial:
    """One trial of a search so far.

    Attributes:
        trial: Its id.
        number: Its number among the suggestions, from 0.
        config: Its values of the searched settings.
        by: Who proposed it.
        state: ``running``, ``waiting``, ``ended`` or ``failed``.
        reason: Why it ended; empty while it has not.
        rung: The highest rung it has completed; -1 before the first. A waiting trial waits there.
        progress: Share of the full budget that it has trained.
        scores: Its score at every rung it has completed.
        curve: Its score by share of the full budget.
        results: Everything it has reported, in order, until it is forgotten.
        seconds: How long it has trained according to its results.
    """

    trial: str
    number: int
    config: dict[str, Any]
    by: str
    state: str = "running"
    reason: str = ""
    rung: int = -1
    progress: float = 0.0
    scores: dict[int, float] = field(default_factory=dict)
    curve: dict[float, float] = field(default_factory=dict)
    results: list[Mapping[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    _seen: Observation | None = field(default=None, repr=False)

    @classmethod
    def of(cls, suggested: Mapping[str, Any]) -> SearchedTrial:
        """Returns the trial that an event called ``suggested`` tells of."""
        config = {name: frozen_value(value) for name, value in suggested["config"].items()}
        return cls(suggested["trial"], suggested["number"], config, suggested["by"])

    @property
    def over(self) -> bool:
        """Whether the trial has ended."""
        return self.state in ("ended", "failed")

    @property
    def waits(self) -> str:
        """Where the trial waits, such as ``waiting at rung 1``; empty if it does not."""
        return f"waiting at rung {self.rung}" if self.state == "waiting" else ""

    @property
    def early_end(self) -> str:
        """The reason of its end if it ended now, with its study's budget."""
        if self.state == "waiting":
            return f"paused at rung {self.rung}"
        return f"ended early, at {self.progress:.0%} of its budget"

    def knows(self, reading: Reading, result: Mapping[str, Any]) -> bool:
        """Tells whether the trial, begun again from an older checkpoint, has reported this before."""
        if reading.rung >= 0:
            return reading.rung in self.scores
        return any(_place(result) == _place(earlier) for earlier in self.results)

    def reported(self, reading: Reading, result: Mapping[str, Any], verdict: str, reason: str) -> None:
        """Takes in a report and what was decided on it."""
        self.results.append(result)
        self.scores |= reading.scores
        self.rung, self.progress = max(self.rung, *self.scores, -1), reading.progress
        self.curve |= _points(result)
        seconds: Any = result.get("train_seconds")
        self.seconds = max(self.seconds, float(seconds) if _is_number(seconds) else 0.0)
        if verdict == "ends":
            self.end(reason)
        else:
            self.state, self._seen = "waiting" if verdict == "waits" else "running", None

    def end(self, reason: str) -> None:
        """Takes in the trial's end."""
        self.state, self.reason = "failed" if reason.startswith("failed") else "ended", reason
        self._seen = None

    def go_on(self) -> None:
        """Takes in that the trial, which waited, is promoted."""
        self.state, self._seen = "running", None

    def forget(self) -> None:
        """Lets go of the results of a trial that has ended and was told of; what proposals learn from it stays."""
        if self.over:
            self.observation()
            self.results.clear()

    def standing(self) -> list[Mapping[str, Any]]:
        """Returns what to tell one who has heard of no report: the last one at a rung and, if it is later, the last.

        Each brings all points of the learning curve since the one before.
        """
        at_rungs = [i for i, result in enumerate(self.results) if result.get("rung", -1) in self.scores]
        told, start = list[Mapping[str, Any]](), 0
        for end in sorted({*at_rungs[-1:], *range(len(self.results))[-1:]}):
            curve = [point for result in self.results[start : end + 1] for point in result.get("curve") or []]
            told.append({**self.results[end], "curve": curve})
            start = end + 1
        return told

    def observation(self) -> Observation:
        """Returns what a proposal may learn from the trial."""
        if self._seen is None:
            curve, error = tuple(sorted(self.curve.items())), standard_error(self.replica_scores)
            self._seen = Observation(self.config, dict(self.scores), self.state, curve, error)
        return self._seen

    @property
    def replica_scores(self) -> Mapping[str, float]:
        """The last score of every replica, by ``class/fold0/seed0``; empty where it reported none."""
        points = [point for result in self.results[-1:] for point in result.get("curve") or []]
        scores: Mapping[str, float] = points[-1].get("scores", {}) if points else {}
        return scores


Trials = dict[str, SearchedTrial]


def take_in(trials: Trials, event: Mapping[str, Any]) -> None:
    """Brings trials up to date with an event of a journal; some events are about none of them.

    Raises:
        KeyError: If the event is about a trial that was never suggested, or lacks a value.
    """
    kind = event["event"]
    if kind == "suggested":
        trials[event["trial"]] = SearchedTrial.of(event)
    elif kind == "reported":
        result = event["result"]
        trials[event["trial"]].reported(read(result), result, event["verdict"], event["reason"])
    elif kind == "promoted":
        trials[event["trial"]].go_on()
    elif kind == "ended":
        trials[event["trial"]].end(event["reason"])


def read_trials(events: Iterable[Mapping[str, Any]]) -> Trials:
    """Returns the trials that a journal tells of by their ids, in the order of suggestion.

    Raises:
        KeyError: If an event does not follow from those before it.
    """
    trials: Trials = {}
    for event in events:
        take_in(trials, event)
    return trials


def _place(result: Mapping[str, Any]) -> tuple[Any, ...]:
    """Returns where in its training a trial was when it reported between two rungs."""
    return result.get("rung"), result.get("progress"), result.get("folds"), result.get("curve_start")


def _points(result: Mapping[str, Any]) -> dict[float, float]:
    """Returns the points of a learning curve that a result brings; one without a curve is a point itself."""
    points = result.get("curve") or [result]
    pairs = ((point.get("progress"), point.get("val_spearman")) for point in points)
    return {float(x): float(y) for x, y in pairs if _is_number(x) and _is_number(y)}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
