"""What a person sees of a study while it runs and when it ends."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TextIO, cast

from rich.console import Console as Terminal
from rich.text import Text

from tuning.console.lasting import LastingOutput
from tuning.console.live import LiveView
from tuning.console.progress import StudyProgress
from tuning.console.summary import summary, summary_values
from tuning.console.views import JsonView, LineView, View
from tuning.engine.status import Pace
from tuning.score_metric import SPEARMAN, ScoreMetric
from tuning.tracking import StudyResults

__all__ = ["Console", "LastingOutput", "StudyProgress"]

WIDE = 160  # columns of a table that goes to a file


class Console:
    """Shows a study: a live table on a terminal, else one line an event, or JSON lines.

    It is told what happens by the methods that :class:`tuning.events.Listener` names, inside a ``with`` block.

    Args:
        name: Name of the study.
        searched: Names of the searched settings, in the order of the table's columns.
        trials: How many trials were asked for.
        metric: What the scores are.
        log_format: ``text`` or ``json``.
        out: Where to write; standard output by default.

    Raises:
        ValueError: If the format is neither.
    """

    def __init__(
        self,
        name: str,
        searched: Sequence[str],
        trials: int,
        *,
        metric: ScoreMetric = SPEARMAN,
        log_format: str = "text",
        out: TextIO | None = None,
    ) -> None:
        if log_format not in ("text", "json"):
            raise ValueError(f"log_format: {log_format!r} is not text or json")
        self._out = cast(TextIO, LastingOutput(out or sys.stdout))
        self._terminal = Terminal(file=self._out, width=None if self._out.isatty() else WIDE)
        self.progress = StudyProgress(name, tuple(searched), trials, metric)
        self._view: View
        if log_format == "json":
            self._view = JsonView(self._out, self.progress)
        elif self._terminal.is_terminal:
            self._view = LiveView(self._terminal, self.progress)
        else:
            self._view = LineView(self._out, self.progress)

    def __enter__(self) -> Self:
        """Begins to show."""
        self._view.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the live table, whatever happened."""
        self._view.close()

    def note(self, message: str) -> None:
        """Tells something that is about no trial."""
        self._view.note(message)

    def trial_started(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """A trial started."""
        if trial := self.progress.started(trial_id, config):
            self._view.event("trial_started", trial)

    def trial_reported(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """A trial reported."""
        rung = int(result.get("rung", -1))
        self._view.event("trial_reported", self.progress.reported(trial_id, result), **{"rung": rung})

    def trial_waits(self, trial_id: str, rung: int) -> None:
        """A trial waits at a rung."""
        if trial := self.progress.waits(trial_id, rung):
            self._view.event("trial_waits", trial)

    def trial_retried(self, trial_id: str, error: str) -> None:
        """A trial failed and will be tried again."""
        self._view.event("trial_retried", self.progress.retried(trial_id), error=error)

    def trial_ended(self, trial_id: str, reason: str) -> None:
        """A trial ended."""
        if trial := self.progress.ended(trial_id, reason):
            self._view.event("trial_ended", trial, reason=reason)

    def devices_started(self, numerics: Mapping[str, str]) -> None:
        """Nothing to show: MLflow has it."""

    def devices_worked(self, paces: Sequence[Pace]) -> None:
        """Shows what the devices do."""
        self._view.devices(paces)

    def study_ended(self, results: StudyResults, files: Sequence[str], resume: Sequence[str] | None = None) -> None:
        """Shows the best configurations and where everything is; call it after the ``with`` block.

        Args:
            results: The study, from ``read_study``.
            files: Paths of what was written.
            resume: The command that goes on, as arguments, if the study was interrupted.
        """
        if isinstance(self._view, JsonView):
            self._view.write("study_ended", **summary_values(results, files, resume))
        else:
            for part in summary(results, files, resume):  # the terminal wraps lines, so that they can be copied
                self._terminal.print(part, highlight=False, soft_wrap=isinstance(part, Text))
