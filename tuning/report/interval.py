"""How sure a trial's validation score is, from the scatter of its folds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np
from scipy import stats

from pamfn.metrics import CLIP

_TASK = re.compile(r"(?P<task>.*)\.fold\d+")


def fold_interval(folds: Mapping[str, float], level: float = 0.95) -> tuple[float, float] | None:
    """Returns a t interval of the Fisher-z mean over tasks and folds; None with fewer than two folds or a NaN.

    Folds scatter around the mean of their own task, so only that scatter counts. The folds share training videos, which
    this leaves out: the interval is a little too narrow.

    Args:
        folds: Scores by ``val_spearman.fold0`` or ``val_spearman.<task>.fold0``.
        level: Coverage.
    """
    tasks: dict[str, list[float]] = {}
    for name, value in folds.items():
        if match := _TASK.fullmatch(name):
            tasks.setdefault(match["task"], []).append(math.atanh(min(max(value, -CLIP), CLIP)))
    if not tasks or any(len(values) < 2 or not np.isfinite(values).all() for values in tasks.values()):
        return None
    means = [float(np.mean(values)) for values in tasks.values()]
    error = math.sqrt(sum(float(np.var(values, ddof=1)) / len(values) for values in tasks.values())) / len(tasks)
    freedom = sum(len(values) - 1 for values in tasks.values())
    reach = float(stats.t.ppf((1 + level) / 2, freedom)) * error
    return math.tanh(float(np.mean(means)) - reach), math.tanh(float(np.mean(means)) + reach)
