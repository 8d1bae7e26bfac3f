"""How sure a trial's score is, from the scatter of its folds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tuning.search.comparable import CLIP


class Scatter(NamedTuple):
    """How folds scatter around the means of their classes, on Fisher's z scale.

    Args:
        mean: Mean over the classes.
        error: Its standard error.
        freedom: Degrees of freedom.
    """

    mean: float
    error: float
    freedom: int


def scatter(classes: Mapping[str, Sequence[float]]) -> Scatter | None:
    """Returns the mean over classes and its standard error; None with fewer than two folds in a class, or a NaN.

    Folds scatter around the mean of their own class, so only that scatter counts. The folds share training videos,
    which is left out: the true error is a little larger.

    Args:
        classes: For each class the Fisher-z score of every fold.
    """
    if not classes or any(len(folds) < 2 or not np.isfinite(folds).all() for folds in classes.values()):
        return None
    means = [float(np.mean(folds)) for folds in classes.values()]
    variance = sum(float(np.var(folds, ddof=1)) / len(folds) for folds in classes.values())
    freedom = sum(len(folds) - 1 for folds in classes.values())
    return Scatter(float(np.mean(means)), math.sqrt(variance) / len(means), freedom)


def standard_error(scores: Mapping[str, float]) -> float | None:
    """Returns the standard error of a trial's score on Fisher's z scale; seeds of a fold count as one.

    Args:
        scores: Scores of its replicas by ``class/fold0/seed0``; None comes of a class with a single fold, or of a NaN.
    """
    classes: dict[str, dict[str, list[float]]] = {}
    for name, score in scores.items():
        task, fold, _ = name.rsplit("/", 2)
        classes.setdefault(task, {}).setdefault(fold, []).append(fisher_z(score))
    means = {task: [float(np.mean(seeds)) for seeds in folds.values()] for task, folds in classes.items()}
    found = scatter(means)
    return None if found is None else found.error


def fisher_z(score: float) -> float:
    """Returns a correlation on Fisher's z scale, clipped as everywhere in a study."""
    return math.atanh(min(max(score, -CLIP), CLIP))
