"""What MLflow holds of a study's own run beside its tags: whether it runs, and what the devices did when."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tuning.tracking import StudyResults
from tuning.tracking.location import client_of
from tuning.tracking.told import ToldClient

_BUSY = re.compile(r"system/(?P<engine>engine\d+)_rows_busy")


@dataclass(frozen=True)
class StudyRun:
    """The run of a study.

    Args:
        running: Whether nobody has closed it: its driver is at work, or was killed.
        rows: By engine, how many replicas trained on it, as (seconds since the epoch, number).
    """

    running: bool
    rows: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)


def study_run(results: StudyResults) -> StudyRun:
    """Returns a study's run.

    Raises:
        TrackingError: If MLflow cannot be read; one line.
    """
    client = ToldClient(client_of(results.uri), results.uri)
    run = client.get_run(results.study_run_id)
    rows = {}
    for name in sorted(run.data.metrics):
        if match := _BUSY.fullmatch(name):
            points = client.get_metric_history(results.study_run_id, name)
            engine = match["engine"].replace("engine", "engine ")
            rows[engine] = sorted((point.timestamp / 1000, float(point.value)) for point in points)
    return StudyRun(run.info.status == "RUNNING", rows)
