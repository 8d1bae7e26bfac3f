"""Which of some networks score which class: ``tasks.json`` beside them says so, or else their names do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pamfn.phases.replica import Task

FILE = "tasks.json"


@dataclass(frozen=True)
class NetworksOfTask:
    """The networks that learned one score of a class.

    Args:
        task: Its name.
        actions: The classes whose videos they score.
        networks: Their indices.
    """

    task: str
    actions: tuple[str, ...]
    networks: tuple[int, ...]


def save_tasks(folder: Path, tasks: Sequence[Task]) -> None:
    """Writes what networks score beside them."""
    temporary = folder / f".{FILE}.tmp"
    temporary.write_text(json.dumps([asdict(task) for task in tasks], indent=1), encoding="utf-8")
    temporary.replace(folder / FILE)


def load_tasks(folder: Path, names: Sequence[str]) -> list[NetworksOfTask] | None:
    """Returns what `save_tasks` wrote for networks of these names, or None if it wrote nothing.

    Raises:
        ValueError: If the file cannot be read, or does not say what each network scores; one line.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        tasks = [Task(**values) for values in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error
    by_task = _by_task(names)
    if set(by_task) != {task.name for task in tasks}:
        raise ValueError(f"{path}: names the tasks {[task.name for task in tasks]}, the networks are for {[*by_task]}")
    return [NetworksOfTask(task.name, (task.action,), by_task[task.name]) for task in tasks]


def tasks_by_name(names: Sequence[str], actions: Sequence[str]) -> list[NetworksOfTask]:
    """Returns what networks score going by their names alone.

    A task called ``Ball`` or ``Ball.total`` is of the class Ball. One that names no class, such as a score or an
    imported file's name, is of all classes that no other task names.

    Args:
        names: The networks' names.
        actions: The classes of the data.
    """
    by_task = _by_task(names)
    named = {task: tuple(a for a in actions if task == a or task.startswith(f"{a}.")) for task in by_task}
    taken = {action for of in named.values() for action in of}
    free = tuple(action for action in actions if action not in taken)
    return [NetworksOfTask(task, named[task] or free, mine) for task, mine in by_task.items()]


def _by_task(names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Returns the indices of each task's networks; a network of a study is called ``task/all/seed0``."""
    found: dict[str, tuple[int, ...]] = {}
    for index, name in enumerate(names):
        task = name.rsplit("/", 2)[0]
        found[task] = (*found.get(task, ()), index)
    return found
