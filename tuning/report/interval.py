"""How sure a trial's validation score is, from the scatter of its folds."""

from __future__ import annotations

import re
from collections.abc import Mapping

from scipy import stats

from tuning.score_metric import SPEARMAN, ScoreMetric
from tuning.search.noise import scatter

_TASK = re.compile(r"(?P<task>.*)\.fold\d+")


def fold_interval(
    folds: Mapping[str, float], level: float = 0.95, metric: ScoreMetric = SPEARMAN
) -> tuple[float, float] | None:
    """Returns a t interval of the average over tasks and folds; None with fewer than two folds or a NaN.

    The folds share training videos, which this leaves out: the interval is a little too narrow.

    Args:
        folds: Scores by ``val_spearman.fold0`` or ``val_spearman.<task>.fold0``.
        level: Coverage.
        metric: What the scores are.
    """
    tasks: dict[str, list[float]] = {}
    for name, value in folds.items():
        if match := _TASK.fullmatch(name):
            tasks.setdefault(match["task"], []).append(float(metric.scaled(value)))
    found = scatter(tasks)
    if found is None:
        return None
    reach = float(stats.t.ppf((1 + level) / 2, found.freedom)) * found.error
    return float(metric.unscaled(found.mean - reach)), float(metric.unscaled(found.mean + reach))
