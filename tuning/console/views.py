"""How a running study is shown where there is no terminal: a line an event, or a JSON object an event."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Protocol, TextIO

from tuning.console.progress import StudyProgress, TrialProgress
from tuning.engine.status import Pace
from tuning.tracking.names import run_name

LINES_EVERY = 60.0  # seconds


class View(Protocol):
    """Shows what happens; between ``open`` and ``close`` it owns the output."""

    def open(self) -> None:
        """Begins."""

    def close(self) -> None:
        """Ends; what was shown last stays."""

    def event(self, name: str, trial: TrialProgress, **more: Any) -> None:
        """A trial started, reported, is tried again or ended; ``trial`` is its state after that."""

    def note(self, message: str) -> None:
        """Something to tell that is about no trial."""

    def devices(self, paces: Sequence[Pace]) -> None:
        """What the devices do; told every few seconds."""


class JsonView:
    """One JSON object a line, for programs; numbers that are not finite are null."""

    def __init__(self, out: TextIO, progress: StudyProgress) -> None:
        self._out, self._progress = out, progress

    def open(self) -> None:
        """Nothing to begin."""

    def close(self) -> None:
        """Nothing to end."""

    def event(self, name: str, trial: TrialProgress, **more: Any) -> None:
        """Writes the event with the trial's values and scores."""
        values = {
            "last_rung": trial.rung,
            "epoch": trial.epoch,
            "progress": trial.progress,
            self._progress.metric.held_out: trial.score,
        }
        self.write(name, trial_id=trial.trial_id, config=dict(trial.config), **values, **more)

    def note(self, message: str) -> None:
        """Writes the message as an event called ``note``."""
        self.write("note", message=message)

    def devices(self, paces: Sequence[Pace]) -> None:
        """Writes what each engine does as an event called ``engine``."""
        for pace in paces:
            rates = {"steps_per_second": pace.steps, "replica_steps_per_second": pace.replica_steps}
            self.write("engine", engine=pace.engine, **rates, **asdict(pace.status))

    def write(self, name: str, **values: Any) -> None:
        """Writes one event."""
        line = {"time": _clock().isoformat(timespec="milliseconds"), "event": name, **values}
        print(json.dumps(finite(line), default=str), file=self._out, flush=True)


class LineView:
    """One line an event, for logs; reports between two rungs are left out."""

    def __init__(self, out: TextIO, progress: StudyProgress) -> None:
        self._out, self._progress = out, progress
        self._told = -math.inf

    def open(self) -> None:
        """Nothing to begin."""

    def close(self) -> None:
        """Nothing to end."""

    def event(self, name: str, trial: TrialProgress, **more: Any) -> None:
        """Writes the event, unless it is a report between two rungs."""
        if name == "trial_reported" and more.get("rung", -1) < 0:
            return
        name_of = self._progress.metric.held_out
        words = {
            "trial_started": lambda: f"{'started' if trial.rung < 0 else 'continued'}    {run_name(trial.config)}",
            "trial_reported": lambda: f"rung {trial.rung}     {name_of} {score(trial.score)} at epoch {trial.epoch}",
            "trial_waits": lambda: trial.state,
            "trial_retried": lambda: f"tried again after: {more.get('error', '')}",
            "trial_ended": lambda: f"{trial.state}; {self._so_far()}",
        }
        self.note(f"trial {trial.trial_id}  {words[name]()}")

    def note(self, message: str) -> None:
        """Writes the message with the time of day."""
        print(f"{_clock():%H:%M:%S}  {message}", file=self._out, flush=True)

    def devices(self, paces: Sequence[Pace]) -> None:
        """Writes a line an engine, once a minute: a log is read afterwards."""
        if time.monotonic() - self._told < LINES_EVERY:
            return
        self._told = time.monotonic()
        for pace in paces:
            self.note(pace.line())

    def _so_far(self) -> str:
        counts = self._progress.counts()
        ended = sum(counts.values()) - counts["running"] - counts["waiting"]
        leader = self._progress.leader()
        best = f", best {score(leader.score)} (trial {leader.trial_id})" if leader else ""
        return f"{ended} of {self._progress.asked} trials ended{best}"


def score(value: float) -> str:
    """Returns a score with three digits, ``-`` for none."""
    return "-" if math.isnan(value) else f"{value:.3f}"


def finite(value: Any) -> Any:
    """Returns plain values with every number that is not finite as None."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _clock() -> datetime:
    return datetime.now().astimezone()
