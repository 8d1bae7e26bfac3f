"""What a benchmark says: every method's mean regret, and how sure its difference from ours is.

Uncertainty comes from a bootstrap that is the same for all methods: tasks are drawn anew, and within each drawn task
its seeds. Tasks are few and differ more than seeds do, so seeds are never counted as if they were tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuning.bench.surrogate import Array

DRAWS = 10_000
LEVEL = 0.95
REFERENCE = "ours"


@dataclass(frozen=True)
class Result:
    """One search of one task.

    Args:
        regret_S: Normalised regret at every share of the budget, the last being all of it.
        trials: Trials begun.
        epochs: Epochs trained.
    """

    regret_S: Sequence[float]
    trials: int
    epochs: int


Results = Mapping[str, Mapping[str, Sequence[Result]]]
"""Results by method, task and seed."""


def comparison(results: Results) -> dict[str, dict[str, Any]]:
    """Returns the figures of every method, as the JSON file has them.

    ``difference`` is a method's regret less ours on the same tasks and seeds, so a positive one speaks for ours; it is
    None for ours, and where ours did not run.
    """
    ours = _final(results[REFERENCE]) if REFERENCE in results else None
    figures = {}
    for method, by_task in results.items():
        regret_TR = _final(by_task)
        runs = [run for task in by_task.values() for run in task]
        figures[method] = {
            "mean_regret": float(regret_TR.mean()),
            "standard_error": float(resampled(regret_TR).std()),
            "difference": None if ours is None or method == REFERENCE else difference(regret_TR, ours),
            "curve": np.mean([run.regret_S for run in runs], axis=0).tolist(),
            "trials": float(np.mean([run.trials for run in runs])),
            "epochs": float(np.mean([run.epochs for run in runs])),
            "regret": {task: regret_R.tolist() for task, regret_R in zip(by_task, regret_TR, strict=True)},
        }
    return figures


def difference(regret_TR: Array, ours_TR: Array) -> dict[str, float]:
    """Returns the mean paired difference and its interval, regrets given by task and seed."""
    paired_TR = regret_TR - ours_TR
    low, high = np.quantile(resampled(paired_TR), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"mean": float(paired_TR.mean()), "low": float(low), "high": float(high)}


def resampled(values_TR: Array, draws: int = DRAWS) -> Array:
    """Returns the means of bootstrap samples of tasks, and of seeds within each, shape (draws,)."""
    random = np.random.default_rng(0)
    tasks, seeds = values_TR.shape
    means = np.empty(draws)
    for draw in range(draws):
        drawn_T1 = random.integers(tasks, size=(tasks, 1))
        means[draw] = values_TR[drawn_T1, random.integers(seeds, size=(tasks, seeds))].mean()
    return means


def _final(by_task: Mapping[str, Sequence[Result]]) -> Array:
    return np.array([[run.regret_S[-1] for run in runs] for runs in by_task.values()])
