"""Learning curves as MLflow wants them: one flat set of numbers a step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tuning.score_metric import SPEARMAN, ScoreMetric
from tuning.tracking.names import ALL, score_metrics


def point_metrics(point: Mapping[str, Any], metric: ScoreMetric = SPEARMAN) -> dict[str, float]:
    """Returns the metrics of one point of a trial's curve.

    A number that is not finite becomes NaN: MLflow stores infinity as the largest float there is, which leaves nothing
    of a chart's axis.

    Args:
        point: ``val_spearman``, ``loss``, ``constant`` and, for every replica, ``scores`` (see :mod:`tuning.trial`).
        metric: What the scores are.
    """
    found = {metric.held_out: point.get("val_spearman"), "train_loss": point.get("loss")}
    metrics = {name: finite_or_nan(value) for name, value in found.items() if value is not None}
    if point.get("constant"):
        metrics["constant_replicas"] = float(point["constant"])
    return metrics | _averages(point.get("scores") or {}, metric)


def finite_or_nan(value: float) -> float:
    """Returns the number, or NaN for an infinite one."""
    return float(value) if math.isfinite(value) else math.nan


def _averages(scores: Mapping[str, float], metric: ScoreMetric) -> dict[str, float]:
    """Returns the average of all, of every task and of every fold; NaN in one replica makes its averages NaN."""
    if not scores:
        return {}
    groups = {f"{metric.held_out}/{ALL}": [finite_or_nan(value) for value in scores.values()]}
    for replica, names in score_metrics(scores, metric).items():
        for name in names:
            groups.setdefault(name, []).append(finite_or_nan(scores[replica]))
    return {name: metric.average(values) for name, values in groups.items()}
