"""The files of a report beside its page: the table of trials and the winner as a space file, written whole or not."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tuning.storage import open_store, within
from tuning.tracking import StudyResults, TrialResult
from tuning.tracking.names import text

HEAD = """\
# python -m tuning.launch --space best.yaml
# The best of {count} trials of study {name}: {trial}, {metric} {score:.4f} ({reason}).
"""
LOOKED = """\
# The test split of these data has been opened, so it stays closed here; to open it again:
# --set final.top=1 --reopen-test
"""


def write_whole(folder: str, name: str, content: bytes) -> str:
    """Writes a file under a folder or URI so that a reader sees all of it or none; returns its path."""
    open_store(folder).write(name, content)
    return within(folder, name)


def table_bytes(results: StudyResults) -> bytes:
    """Returns the table of trials as Parquet."""
    sink = io.BytesIO()
    pq.write_table(results_table(results), sink)
    return sink.getvalue()


def results_table(results: StudyResults) -> Any:
    """Returns a table with one row a trial, in the order in which they started.

    A setting's column has its values' type; values of several types, and lists, are text.
    """
    trials = results.trials
    columns: dict[str, Any] = {"trial_id": [t.trial_id for t in trials], "run_id": [t.run_id for t in trials]}
    columns |= {name: _column([trial.values.get(name) for trial in trials]) for name in results.space.search}
    columns |= {
        results.metric.held_out: _floats([t.score for t in trials]),
        results.metric.best: _floats([t.best for t in trials]),
        "rung": pa.array([t.rung for t in trials], pa.int64()),
        "epochs": pa.array([t.epochs for t in trials], pa.int64()),
        "status_reason": pa.array([t.reason for t in trials], pa.string()),
        "train_seconds": _floats([t.seconds for t in trials]),
        "first": pa.array([t.first for t in trials], pa.bool_()),
    }
    scores = dict.fromkeys(name for trial in trials for name in [*sorted(trial.folds), *sorted(trial.scalars)])
    for name in scores:
        columns[name] = _floats([trial.folds.get(name, trial.scalars.get(name)) for trial in trials])
    return pa.table(columns)


def best_text(results: StudyResults, best: TrialResult, *, opened: bool = False) -> str:
    """Returns a space file that launches the best configuration alone, on the same data with the same protocol.

    Args:
        results: The study.
        best: Its best trial, by its held-out folds.
        opened: Whether the test split of the data has been opened; the file leaves it closed then, since a launch that
            would open it again is refused.
    """
    head = HEAD.format(
        count=len(results.trials),
        name=results.name,
        trial=best.trial_id,
        metric=results.metric.held_out,
        score=best.score,
        reason=best.reason,
    )
    space = results.space.settled(best.values)
    if not opened or not space.final.top:
        return head + space.to_yaml()
    closed = space.model_copy(update={"final": space.final.model_copy(update={"top": 0})})
    return head + LOOKED + closed.to_yaml()


def _column(values: list[Any]) -> Any:
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) <= 1 and kinds <= {int, float, str, bool}:
        return pa.array(values)
    return pa.array([None if value is None else text(value) for value in values], pa.string())


def _floats(values: list[float | None]) -> Any:
    return pa.array(values, pa.float64())
