"""One run in MLflow, and what is known to be written on it, so that nothing is written twice."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tuning.score_metric import SPEARMAN, ScoreMetric
from tuning.tracking.experiment import dataset_input
from tuning.tracking.points import finite_or_nan, point_metrics
from tuning.tracking.record import DataRecord

METRICS_A_REQUEST, PARAMS_A_REQUEST = 1000, 100  # MLflow's limits


class RunWriter:
    """Writes one run through an explicit client.

    Args:
        client: An ``MlflowClient``.
        run: The run as MLflow has it; everything on it is taken as written.
        metric: What the points of its curve are scores of.
    """

    def __init__(self, client: Any, run: Any, metric: ScoreMetric = SPEARMAN) -> None:
        self.run_id = str(run.info.run_id)
        self.status = str(run.info.status)
        self.tags: dict[str, str] = dict(run.data.tags)
        self._began = int(run.info.start_time or 0)
        self._client, self._metric = client, metric
        self._scalars: dict[str, float] = dict(run.data.metrics)
        self.parameters: dict[str, str] = dict(run.data.params)
        self._has_data = bool(run.inputs and run.inputs.dataset_inputs)
        score = metric.held_out
        curve = client.get_metric_history(self.run_id, score) if score in self._scalars else []
        self._steps = {int(metric.step) for metric in curve}

    def describe(self, parameters: Mapping[str, str], data: DataRecord) -> None:
        """Writes the run's parameters and its data set, as far as they are not there."""
        from mlflow.entities import Param

        missing = [Param(key, value) for key, value in parameters.items() if key not in self.parameters]
        for start in range(0, len(missing), PARAMS_A_REQUEST):
            self._client.log_batch(self.run_id, params=missing[start : start + PARAMS_A_REQUEST], synchronous=True)
        self.parameters |= dict(parameters)
        if not self._has_data:
            self._client.log_inputs(self.run_id, [dataset_input(data)])
            self._has_data = True

    def contradicts(self, parameters: Mapping[str, str]) -> bool:
        """Tells whether the run has another value for one of these parameters."""
        return any(self.parameters.get(key, value) != value for key, value in parameters.items())

    def add_points(self, points: Sequence[Mapping[str, Any]]) -> None:
        """Writes the points of a learning curve whose epochs are not there.

        A request holds whole points, as many as fit, so that a point is there entirely or not at all.
        """
        from mlflow.entities import Metric

        now, batch, steps = _now(), list[Metric](), list[int]()
        for point in points:
            step = int(point["epoch"])
            if step in self._steps or step in steps:
                continue
            metrics = [Metric(key, value, now, step) for key, value in point_metrics(point, self._metric).items()]
            if len(batch) + len(metrics) > METRICS_A_REQUEST:
                self._send(batch, steps)
                batch, steps = [], []
            batch += metrics
            steps.append(step)
        self._send(batch, steps)

    def add_moment(self, values: Mapping[str, float]) -> None:
        """Writes numbers as of now; their steps count the seconds since the run began."""
        from mlflow.entities import Metric

        now = _now()
        step = max(0, now - self._began) // 1000
        metrics = [Metric(key, finite_or_nan(value), now, step) for key, value in values.items()]
        for start in range(0, len(metrics), METRICS_A_REQUEST):
            batch = metrics[start : start + METRICS_A_REQUEST]
            self._client.log_batch(self.run_id, metrics=batch, synchronous=True)

    def update(self, scalars: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Writes the single numbers and the tags that differ from what is there.

        The numbers have step 0: the chart view draws those as bars.
        """
        from mlflow.entities import Metric, RunTag

        finite = {key: finite_or_nan(value) for key, value in scalars.items()}
        new_scalars = {key: value for key, value in finite.items() if not _same(self._scalars.get(key), value)}
        new_tags = {key: value for key, value in tags.items() if self.tags.get(key) != value}
        if not new_scalars and not new_tags:
            return
        now = _now()
        self._client.log_batch(
            self.run_id,
            metrics=[Metric(key, value, now, 0) for key, value in new_scalars.items()],
            tags=[RunTag(key, value) for key, value in new_tags.items()],
            synchronous=True,
        )
        self._scalars |= new_scalars
        self.tags |= new_tags

    def reopen(self) -> None:
        """Makes the run a running one again."""
        if self.status != "RUNNING":
            self._client.update_run(self.run_id, status="RUNNING")
            self.status = "RUNNING"

    def close(self, status: str) -> None:
        """Ends the run as ``FINISHED``, ``FAILED`` or ``KILLED``; its end time is kept if it had ended so before."""
        if self.status != status:
            self._client.set_terminated(self.run_id, status=status)
            self.status = status

    def _send(self, batch: Sequence[Any], steps: Sequence[int]) -> None:
        if batch:
            self._client.log_batch(self.run_id, metrics=batch, synchronous=True)
            self._steps.update(steps)


def _same(old: float | None, new: float) -> bool:
    """Tells whether a number is already there; NaN equals NaN."""
    return old is not None and (old == new or (math.isnan(old) and math.isnan(new)))


def _now() -> int:
    return int(time.time() * 1000)
