"""What the final networks predict of the test split, made into scores by class and on average."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pamfn.data.bank import Bank
from pamfn.highlights.average_precision import average_precisions
from pamfn.phases.replica import Replica
from tuning.score_metric import MAP, ScoreMetric
from tuning.selection.comparing import Measured, measured, measured_precisions

AVERAGE = ""  # among the classes of a model

Predicted = Sequence[NDArray[np.float64]]


def by_class(
    predicted: Predicted, replicas: Sequence[Replica], bank: Bank, metric: ScoreMetric, seed: int
) -> dict[str, Measured]:
    """Returns a model's scores by class, and under ``AVERAGE`` their average.

    Args:
        predicted: Of each network, what it predicts of its test videos or of their segments, in their order.
        replicas: The networks.
        bank: The videos.
        metric: What they are judged by.
        seed: Seed of the draws of videos.
    """
    tasks = list(dict.fromkeys(replica.task for replica in replicas))
    measure = (_precisions if metric == MAP else _correlations)(predicted, replicas, bank, seed)
    return {AVERAGE: measure(tasks), **{task: measure([task]) for task in tasks}}


def of_videos(predicted: NDArray[np.float64], videos: NDArray[np.int64], bank: Bank) -> list[NDArray[np.float64]]:
    """Returns what a network predicts of the segments of each video, cut from all of them one after the other."""
    return np.split(predicted, np.cumsum(bank.lengths_of_videos[videos])[:-1])


def _correlations(
    predicted: Predicted, replicas: Sequence[Replica], bank: Bank, seed: int
) -> Callable[[Sequence[str]], Measured]:
    scores = _stacked(predicted, replicas)
    truth = {replica.task: replica.scores_V[replica.valid] for replica in replicas}
    return lambda tasks: measured([scores[t] for t in tasks], [truth[t] for t in tasks], seed)


def _precisions(
    predicted: Predicted, replicas: Sequence[Replica], bank: Bank, seed: int
) -> Callable[[Sequence[str]], Measured]:
    each = [
        average_precisions(of_videos(mine, replica.valid, bank), bank.matches_of(replica.valid))
        for mine, replica in zip(predicted, replicas, strict=True)
    ]
    precisions = _stacked(each, replicas)
    return lambda tasks: measured_precisions([precisions[t] for t in tasks], seed)


def _stacked(rows: Predicted, replicas: Sequence[Replica]) -> dict[str, NDArray[np.float64]]:
    """Returns by class the rows of its networks, shape (seeds, videos of the class)."""
    classes: dict[str, list[NDArray[np.float64]]] = {}
    for row, replica in zip(rows, replicas, strict=True):
        classes.setdefault(replica.task, []).append(row)
    return {task: np.stack(mine) for task, mine in classes.items()}
