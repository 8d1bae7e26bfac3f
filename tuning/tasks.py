"""The tasks of a study: each an action class with one of its scores, named by what tells it from the others."""

from __future__ import annotations

from collections.abc import Sequence

from pamfn.phases.replica import Task


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
    return tuple(
        Task(name=name, action=action, score=score)
        for (action, score), name in zip(pairs, task_names(actions, scores), strict=True)
    )
