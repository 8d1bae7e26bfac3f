"""How a running study is shown on a terminal: a table that is redrawn in place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from rich.console import Console as Terminal
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tuning.console.progress import StudyProgress, TrialProgress
from tuning.console.views import score
from tuning.engine.status import Pace
from tuning.tracking.names import SHORT, run_name, short

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
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("trial", *(SHORT.get(name, name) for name in self._progress.searched)):
            table.add_column(title, justify="right", no_wrap=True)
        for title in ("rung", "epoch", self._progress.metric.held_out, "best"):
            table.add_column(title, justify="right", no_wrap=True)
        table.add_column("state", overflow="ellipsis", no_wrap=True)
        rows = self._chosen(max(3, self._terminal.height - ROOM - len(self._paces)))
        for trial in rows:
            table.add_row(*self._cells(trial), style="dim" if not trial.live else "")
        if hidden := len(self._progress.trials) - len(rows):
            table.add_row("", *[""] * (len(self._progress.searched) + 4), f"and {hidden} more", style="dim")
        return table

    def _chosen(self, room: int) -> list[TrialProgress]:
        """Returns the trials to show: those that run, then the others, best first."""
        ended = [trial for trial in self._progress.trials.values() if not trial.live]
        ended.sort(key=lambda trial: (trial.rung, -1.0 if math.isnan(trial.score) else trial.score), reverse=True)
        return [*(trial for trial in self._progress.trials.values() if trial.live), *ended][:room]

    def _cells(self, trial: TrialProgress) -> list[Text]:
        values = [short(trial.config.get(name, "")) for name in self._progress.searched]
        rung = "-" if trial.rung < 0 else str(trial.rung)
        state = f"{trial.progress:.0%}" if trial.state == "running" else trial.state
        cells = [trial.trial_id, *values, rung, str(trial.epoch), score(trial.score), score(trial.best), state]
        return [Text(cell) for cell in cells]


def header(progress: StudyProgress) -> str:
    """Returns the study in one line: counts, time, and the best trial so far."""
    counts = progress.counts()
    parts = [f"{count} {word}" for word, count in counts.items() if count]
    elapsed = timedelta(seconds=int(progress.elapsed))
    leader = progress.leader()
    best = f"   best {score(leader.score)}: {run_name(leader.config)}" if leader else ""
    asked = f"{len(progress.trials)} of {progress.asked} trials begun"
    return f"{progress.name}   {asked}   {', '.join(parts) or 'none running'}   {elapsed}{best}"
