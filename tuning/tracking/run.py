"""One run in MLflow, and what is known to be written on it, so that nothing is written twice."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tuning.score_metric import SPEARMAN, ScoreMetric
from tuning.tracking.experiment import dataset_input
from tuning.tracking.points import finite_or_nan
from tuning.tracking.record import DataRecord

ENDED = ("FINISHED", "FAILED")  # for good; a run of a study that was interrupted is KILLED, and may go on

METRICS_A_REQUEST, TAGS_A_REQUEST = 900, 100  # MLflow's limits: 1000 of both together, and 100 parameters or tags


class RunWriter:
    """Writes one run through an explicit client.

    What is noted waits, to be sent with what follows, until `flush`. Whatever was noted and not flushed may be noted
    again: equal numbers at equal times are one number to MLflow, and `discard` forgets what could not be sent.

    Args:
        client: An ``MlflowClient``.
        run: The run as MLflow has it; everything on it is taken as written.
        metric: What the points of its curve are scores of.
    """

    def __init__(self, client: Any, run: Any, metric: ScoreMetric = SPEARMAN) -> None:
        self.run_id = str(run.info.run_id)
        self.status = str(run.info.status)
        self.tags: dict[str, str] = dict(run.data.tags)
        self.parameters: dict[str, str] = dict(run.data.params)
        self._began = int(run.info.start_time or 0)
        self._client, self._curve = client, metric.held_out
        self._scalars: dict[str, float] = dict(run.data.metrics)
        self._has_data = bool(run.inputs and run.inputs.dataset_inputs)
        self._steps: set[int] | None = None if self._curve in self._scalars else set()
        self._whole_to = int(self._scalars.get("epochs_trained", 0)) if self.status in ENDED else 0
        self._new: tuple[dict[str, tuple[float, int]], dict[str, str], list[Any], set[int]] = ({}, {}, [], set())

    def describe(self, parameters: Mapping[str, str], data: DataRecord) -> None:
        """Writes the run's parameters and its data set, as far as they are not there."""
        from mlflow.entities import Param

        missing = [Param(key, value) for key, value in parameters.items() if key not in self.parameters]
        for start in range(0, len(missing), TAGS_A_REQUEST):
            self._client.log_batch(self.run_id, params=missing[start : start + TAGS_A_REQUEST], synchronous=True)
        self.parameters |= dict(parameters)
        if not self._has_data:
            self._client.log_inputs(self.run_id, [dataset_input(data)])
            self._has_data = True

    def contradicts(self, parameters: Mapping[str, str]) -> bool:
        """Tells whether the run has another value for one of these parameters."""
        return any(self.parameters.get(key, value) != value for key, value in parameters.items())

    def note(self, scalars: Mapping[str, float], tags: Mapping[str, str], at: int) -> None:
        """Notes single numbers and tags; of several notes of one name, the last is sent.

        The numbers have step 0: the chart view draws those as bars.
        """
        new_scalars, new_tags, _, _ = self._new
        new_scalars |= {key: (finite_or_nan(value), at) for key, value in scalars.items()}
        new_tags |= tags

    def add_point(self, step: int, metrics: Mapping[str, float], at: int) -> None:
        """Notes a point of a learning curve, unless its epoch is there.

        A run that had ended for good when it was read has its curve to the epoch that it says: it was closed after
        that. Nothing is asked of MLflow for it, where a resumed study tells of thousands of such runs once more.
        """
        from mlflow.entities import Metric

        _, _, points, steps = self._new
        if step <= self._whole_to or step in self._known_steps() or step in steps:
            return
        if len(points) + len(metrics) > METRICS_A_REQUEST:  # a point is there entirely or not at all
            self.flush()
            _, _, points, steps = self._new
        points += [Metric(key, value, at, step) for key, value in metrics.items()]
        steps.add(step)

    def add_moment(self, values: Mapping[str, float], at: int) -> None:
        """Notes numbers as of now; their steps count the seconds since the run began."""
        from mlflow.entities import Metric

        step = max(0, at - self._began) // 1000
        moment = [Metric(key, finite_or_nan(value), at, step) for key, value in values.items()]
        for start in range(0, len(moment), METRICS_A_REQUEST):
            if len(self._new[2]) + len(moment[start : start + METRICS_A_REQUEST]) > METRICS_A_REQUEST:
                self.flush()
            self._new[2].extend(moment[start : start + METRICS_A_REQUEST])

    def flush(self) -> None:
        """Sends what was noted and is not there, in one request if it fits into one."""
        from mlflow.entities import Metric, RunTag

        scalars, tags, points, steps = self._new
        scalars = {key: new for key, new in scalars.items() if not _same(self._scalars.get(key), new[0])}
        words = [RunTag(key, value) for key, value in tags.items() if self.tags.get(key) != value]
        # Single numbers go first: the compare page preselects the metric that was written first.
        numbers = [Metric(key, value, at, 0) for key, (value, at) in scalars.items()]
        if len(numbers) + len(points) <= METRICS_A_REQUEST and len(words) <= TAGS_A_REQUEST:
            self._send(numbers + points, words)
        else:
            for start in range(0, max(len(numbers), len(words)), TAGS_A_REQUEST):
                part = slice(start, start + TAGS_A_REQUEST)
                self._send(numbers[part], words[part])
            self._send(points, [])
        self._scalars |= {key: value for key, (value, _) in scalars.items()}
        self.tags |= tags
        if self._steps is not None:
            self._steps |= steps
        self.discard()

    def discard(self) -> None:
        """Forgets what was noted and not flushed."""
        self._new = ({}, {}, [], set())

    def update(self, scalars: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Writes single numbers and tags as of now, at once."""
        self.note(scalars, tags, int(time.time() * 1000))
        self.flush()

    def reopen(self) -> None:
        """Makes the run a running one again."""
        if self.status != "RUNNING":
            self._client.update_run(self.run_id, status="RUNNING")
            self.status = "RUNNING"

    def close(self, status: str, at: int) -> None:
        """Ends the run as ``FINISHED``, ``FAILED`` or ``KILLED``; its end time is kept if it had ended so before."""
        if self.status != status:
            self._client.set_terminated(self.run_id, status=status, end_time=at)
            self.status = status

    def assert_on(self, run: Any) -> None:
        """Writes once more the tags that a run, as MLflow has it now, has otherwise, and its status.

        A request that a server did not answer may be carried out long after it was made again, behind later ones.
        """
        there = run.data.tags
        self.tags, known = dict(there), self.tags
        self.note({}, {key: value for key, value in known.items() if there.get(key) != value}, 0)
        self.flush()
        if str(run.info.status) != self.status:
            self._client.update_run(self.run_id, status=self.status)

    def _send(self, metrics: Sequence[Any], tags: Sequence[Any]) -> None:
        if metrics or tags:
            self._client.log_batch(self.run_id, metrics=metrics, tags=tags, synchronous=True)

    def _known_steps(self) -> set[int]:
        if self._steps is None:
            self._steps = {int(metric.step) for metric in self._client.get_metric_history(self.run_id, self._curve)}
        return self._steps


def _same(old: float | None, new: float) -> bool:
    """Tells whether a number is already there; NaN equals NaN."""
    return old is not None and (old == new or (math.isnan(old) and math.isnan(new)))
