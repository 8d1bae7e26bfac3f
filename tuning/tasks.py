"""The tasks of a study: each an action class with one of its scores, and its folds inside the training split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pamfn.data.features import Contents
from pamfn.data.splits import fold_assignment
from pamfn.seeding import derive


@dataclass(frozen=True)
class Task:
    """What one network learns: to predict one score of the videos of one action class.

    Args:
        action: Action class, as the shards name it.
        score: Score, as the shards name it.
        name: What tells the task from the study's others: the class, the score, or ``class.score``.
    """

    action: str
    score: str
    name: str


def task_names(actions: Sequence[str], scores: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of all tasks over these classes and scores, class by class."""
    if len(scores) == 1:
        return tuple(actions)
    if len(actions) == 1:
        return tuple(scores)
    return tuple(f"{action}.{score}" for action in actions for score in scores)


def tasks_of(actions: Sequence[str], scores: Sequence[str]) -> tuple[Task, ...]:
    """Returns all tasks over these classes and scores, class by class."""
    pairs = [(action, score) for action in actions for score in scores]
    return tuple(Task(*pair, name) for pair, name in zip(pairs, task_names(actions, scores), strict=True))


def cut_folds(
    contents: Contents, task: Task, *, folds: int, grouped: bool, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns a task's training videos and the fold in which each is held out.

    The cut depends on the data, the number of folds, the grouping and the study's seed: every trial of a study has the
    same, and so have two studies that agree in these.

    Args:
        contents: The videos of the study.
        task: Whose videos to cut.
        folds: Number of folds.
        grouped: Whether a fold must not share a group with another.
        seed: The study's seed.

    Returns:
        Indices into ``contents``, shape (n,), and folds, shape (n,).

    Raises:
        ValueError: If the videos cannot be cut so; see ``fold_assignment``.
    """
    videos = contents.where(action=task.action, split="train")
    groups = [contents.groups[video] for video in videos] if grouped else None
    scores = contents.scores[task.score][videos]
    return videos, fold_assignment(scores, folds, derive(seed, "folds", task.name), groups)
