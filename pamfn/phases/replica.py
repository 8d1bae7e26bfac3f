"""The replicas of a trial: one network for each class, fold and seed, and the videos each trains and is scored on."""

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
    """One class to score: an action and one of its annotated scores.

    Args:
        name: How the class is called; unique in a study.
        action: Action of the videos.
        score: Name of the annotated score.
    """

    name: str
    action: str
    score: str


@dataclass(frozen=True, eq=False)
class Replica:
    """One network: what it is called, its seed, and its videos as indices into the bank.

    Args:
        name: ``task/fold0/seed0``.
        task: The class.
        fold: Fold that is held out; -1 where the whole training split is trained on.
        seed: Seed of everything random in it.
        train: Indices of its training videos.
        valid: Indices of the videos it is scored on.
        scores_V: Annotated score of every video in the bank; NaN where the class has none.
        largest: C of the score.
    """

    name: str
    task: str
    fold: int
    seed: int
    train: NDArray[np.int64]
    valid: NDArray[np.int64]
    scores_V: NDArray[np.float64]
    largest: float


def cross_validation(
    contents: Contents, tasks: Sequence[Task], *, folds: int, seeds: int, seed: int, grouped: bool
) -> list[Replica]:
    """Returns the replicas of a trial, tasks x folds x seeds, cut inside the training split.

    The folds depend on the data and the study's seed alone, so every trial of a study has the same.

    Raises:
        ValueError: If a class has no training videos, or cannot be cut into these folds; the message names it.
    """
    replicas = []
    for task in tasks:
        videos = _videos(contents, task, "train")
        groups = [contents.groups[v] for v in videos] if grouped else None
        fold_of = fold_assignment(contents.scores[task.score][videos], folds, derive(seed, "folds", task.name), groups)
        for fold in range(folds):
            parts = videos[fold_of != fold], videos[fold_of == fold]
            replicas += [_replica(contents, task, fold, s, seed, *parts) for s in range(seeds)]
    return replicas


def whole_split(
    contents: Contents, tasks: Sequence[Task], *, seeds: int, seed: int, trained_on: str | None, scored_on: str | None
) -> list[Replica]:
    """Returns replicas of whole splits, tasks x seeds.

    Args:
        contents: The videos.
        tasks: The classes.
        seeds: Networks a class.
        seed: The study's seed.
        trained_on: Split of the training videos, or None for networks that are trained already.
        scored_on: Split of the videos they are scored on, or None.

    Raises:
        ValueError: If a class has no videos in a split.
    """
    none = np.empty(0, dtype=np.int64)

    def videos(task: Task, split: str | None) -> NDArray[np.int64]:
        return none if split is None else _videos(contents, task, split)

    return [
        _replica(contents, task, -1, index, seed, videos(task, trained_on), videos(task, scored_on))
        for task in tasks
        for index in range(seeds)
    ]


def _videos(contents: Contents, task: Task, split: str) -> NDArray[np.int64]:
    videos = contents.where(action=task.action, split=split)
    if len(videos) < 2:
        raise ValueError(
            f"{task.name}: {len(videos)} videos of action {task.action!r} in split {split!r}; 2 are needed"
        )
    return videos


def _replica(
    contents: Contents,
    task: Task,
    fold: int,
    index: int,
    seed: int,
    train: NDArray[np.int64],
    valid: NDArray[np.int64],
) -> Replica:
    where = f"fold{fold}" if fold >= 0 else "all"
    mine = np.array([action == task.action for action in contents.actions])
    return Replica(
        name=f"{task.name}/{where}/seed{index}",
        task=task.name,
        fold=fold,
        seed=derive(seed, "replica", task.name, where, index),
        train=train,
        valid=valid,
        scores_V=np.where(mine, contents.scores[task.score], np.nan),
        largest=contents.schema.scores[task.score],
    )
