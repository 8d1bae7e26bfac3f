"""How sure a trial's score is, from the scatter of its folds."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from tuning.search.comparable import CLIP


def standard_error(scores: Mapping[str, float]) -> float | None:
    """Returns the standard error of a trial's score, on Fisher's z scale, from the scatter of its folds.

    Folds scatter around the mean of their own class, and seeds of a fold count as one. The folds share training videos,
    which is left out: the true error is a little larger.

    Args:
        scores: Scores of its replicas by ``class/fold0/seed0``; None comes of a class with a single fold, or of a NaN.
    """
    classes: dict[str, dict[str, list[float]]] = {}
    for name, score in scores.items():
        task, fold, _ = name.rsplit("/", 2)
        classes.setdefault(task, {}).setdefault(fold, []).append(math.atanh(min(max(score, -CLIP), CLIP)))
    variances = []
    for folds in classes.values():
        means = [float(np.mean(values)) for values in folds.values()]
        if len(means) < 2 or not np.isfinite(means).all():
            return None
        variances.append(float(np.var(means, ddof=1)) / len(means))
    return math.sqrt(sum(variances)) / len(variances) if variances else None
