"""The last words of a study: its best configurations, where everything is, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from pamfn.data.rules import counted
from tuning.console.views import score
from tuning.tracking import StudyResults, TrialResult, charts_page, compare_page, ui_command, without_password
from tuning.tracking.names import SHORT, short

SHOWN = 5


def summary(results: StudyResults, files: Sequence[str], resume: Sequence[str] | None = None) -> list[RenderableType]:
    """Returns the end of a study for reading, in parts: lines and a table.

    Args:
        results: The study.
        files: What was written.
        resume: The command that goes on, as arguments, if the study was interrupted.
    """
    best = results.ranked()[:SHOWN]
    parts: list[RenderableType] = [Text(""), Text(_opening(results)), _table(results, best) if best else Text("")]
    parts += [Text(f"  {path}") for path in files]
    command = ui_command(results.uri)
    parts.append(Text(f"MLflow:   {command}" if command else f"MLflow:   {without_password(results.uri)}"))
    parts.append(Text(f"  curves  {charts_page(results.uri, results.experiment_id)}"))
    if resume:
        parts.append(Text(f"Resume:   {shlex.join(resume)}"))
    return parts


def summary_values(results: StudyResults, files: Sequence[str], resume: Sequence[str] | None = None) -> dict[str, Any]:
    """Returns the same as plain values, for JSON."""
    best = results.ranked()[:SHOWN]
    return {
        "study": results.name,
        "trials": len(results.trials),
        "best": [
            {"trial_id": t.trial_id, "score": t.score, "reason": t.reason, "config": dict(t.values)} for t in best
        ],
        "files": list(files),
        "mlflow": ui_command(results.uri) or without_password(results.uri),
        "curves": charts_page(results.uri, results.experiment_id),
        "compare": compare_page(results.uri, results.experiment_id, [trial.run_id for trial in best]),
        "resume": shlex.join(resume) if resume else None,
    }


def _opening(results: StudyResults) -> str:
    words = [trial.reason.replace(":", " ").split(" ")[0] or "running" for trial in results.trials]
    counts = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(sorted(words)))
    trials = f"{counted(len(results.trials), 'trial')} ({counts or 'none'})"
    if not results.ranked():
        return f"Study {results.name}: {trials}; none has a score."
    return f"Study {results.name}: {trials}. Best configurations:"


def _table(results: StudyResults, best: Sequence[TrialResult]) -> Table:
    names: Mapping[str, Any] = results.space.search
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("  #", justify="right")
    for title in (results.metric.held_out, *(SHORT.get(name, name) for name in names), "epochs"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("ended")
    for place, trial in enumerate(best, 1):
        values = [short(trial.values.get(name, "")) for name in names]
        mark = " (the first trial)" if trial.first else ""
        cells = [f"  {place}", score(trial.score), *values, str(trial.epochs), trial.reason + mark]
        table.add_row(*(Text(cell) for cell in cells))
    return table
