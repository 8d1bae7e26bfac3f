"""How a running study is shown on a terminal: a table that is redrawn in place."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from rich.console import Console as Terminal
from rich.console import Group, RenderableType
from rich.live import Live
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tuning.console.progress import StudyProgress, TrialProgress
from tuning.console.views import score
from tuning.engine.status import Pace
from tuning.tracking.names import SHORT, run_name, short

STATE = 8  # columns of a trial's state that stay when the terminal is narrow
ROOM = 8  # lines of a terminal that the table's rows leave to its header and the prompt


class LiveView:
    """A table that is redrawn in place, with the study's state above it."""

    def __init__(self, terminal: Terminal, progress: StudyProgress) -> None:
        self._terminal, self._progress = terminal, progress
        self._paces: tuple[Pace, ...] = ()
        self._live = Live(console=terminal, get_renderable=self.render, refresh_per_second=2)

    def open(self) -> None:
        """Begins to draw."""
        self._live.start(refresh=True)

    def close(self) -> None:
        """Draws for the last time."""
        self._live.stop()

    def event(self, name: str, trial: TrialProgress, **more: Any) -> None:
        """The table shows it at its next drawing; only a retry gets a line of its own."""
        if name == "trial_retried":
            self.note(f"trial {trial.trial_id} tried again after: {more.get('error', '')}")

    def note(self, message: str) -> None:
        """Prints the message above the table."""
        self._terminal.print(message, markup=False, highlight=False)

    def devices(self, paces: Sequence[Pace]) -> None:
        """The lines below the header show it at the next drawing."""
        self._paces = tuple(paces)

    def render(self) -> RenderableType:
        """Returns the header and the table as they should look now."""
        return Group(Text(header(self._progress)), *(Text(pace.line()) for pace in self._paces), self._table())

    def _table(self) -> Table:
        """Returns the table; a terminal too narrow for the settings has it without them."""
        rows = self._chosen(max(3, self._terminal.height - ROOM - len(self._paces)))
        whole = self._filled(rows, self._progress.searched)
        wide = Measurement.get(self._terminal, self._terminal.options.update(max_width=sys.maxsize), whole).maximum
        states = max((len(_state(trial)) for trial in rows), default=STATE)
        fits = wide - max(0, states - STATE) <= self._terminal.width
        return whole if fits else self._filled(rows, ())

    def _filled(self, rows: Sequence[TrialProgress], settings: Sequence[str]) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("trial", *(SHORT.get(name, name) for name in settings)):
            table.add_column(title, justify="right", no_wrap=True, min_width=len(title))
        for title in ("rung", "epoch", self._progress.metric.held_out, "best"):
            least = max(len(title), len("-0.123") if title == "best" else 0)
            table.add_column(title, justify="right", no_wrap=True, min_width=least)
        table.add_column("state", overflow="ellipsis", no_wrap=True, min_width=STATE)
        for trial in rows:
            table.add_row(*self._cells(trial, settings), style="dim" if not trial.live else "")
        if hidden := len(self._progress.trials) - len(rows):
            table.add_row("", *[""] * (len(settings) + 4), f"and {hidden} more", style="dim")
        return table

    def _chosen(self, room: int) -> list[TrialProgress]:
        """Returns the trials to show: those that run, then the others, best first."""
        ended = [trial for trial in self._progress.trials.values() if not trial.live]
        ended.sort(key=lambda trial: (trial.rung, -1.0 if math.isnan(trial.score) else trial.score), reverse=True)
        return [*(trial for trial in self._progress.trials.values() if trial.live), *ended][:room]

    def _cells(self, trial: TrialProgress, settings: Sequence[str]) -> list[Text]:
        values = [short(trial.config.get(name, "")) for name in settings]
        rung = "-" if trial.rung < 0 else str(trial.rung)
        cells = [trial.trial_id, *values, rung, str(trial.epoch), score(trial.score), score(trial.best), _state(trial)]
        return [Text(cell) for cell in cells]


def _state(trial: TrialProgress) -> str:
    return f"{trial.progress:.0%}" if trial.state == "running" else trial.state


def header(progress: StudyProgress) -> str:
    """Returns the study in a few words: counts, time passed and left, and the best trial so far with its noise."""
    counts = progress.counts()
    parts = [f"{count} {word}" for word, count in counts.items() if count]
    elapsed, left = timedelta(seconds=int(progress.elapsed)), progress.left
    ahead = "" if left is None else f", about {timedelta(seconds=int(left))} left"
    asked = f"{len(progress.trials)} of {progress.asked} trials begun"
    return f"{progress.name}   {asked}   {', '.join(parts) or 'none running'}   {elapsed}{ahead}{_best(progress)}"


def _best(progress: StudyProgress) -> str:
    leader = progress.leader()
    if leader is None:
        return ""
    noise = "" if math.isnan(leader.noise) else f" ± {leader.noise:.3f}"
    return f"   best {score(leader.score)}{noise}: {run_name(leader.config)}"
