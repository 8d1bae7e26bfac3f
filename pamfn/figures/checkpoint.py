"""Which of a checkpoint's networks are for which videos: a network is named ``task/...``, a task for its class."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pamfn.data.features import Contents
from pamfn.phases.saved import SavedNetworks


@dataclass(frozen=True)
class Group:
    """The networks of one task, and the classes of its videos.

    Args:
        task: The task.
        networks: Their indices.
        actions: The classes.
    """

    task: str
    networks: tuple[int, ...]
    actions: tuple[str, ...]


def groups(networks: SavedNetworks, actions: Sequence[str]) -> list[Group]:
    """Returns the tasks of a checkpoint that have videos among these classes.

    A task called ``Ball`` or ``Ball.total`` is of the class Ball. A task that names no class, such as a score or an
    imported file's name, is of all classes that no other task names.

    Args:
        networks: Saved networks.
        actions: The classes.
    """
    tasks: dict[str, list[int]] = {}
    for index, name in enumerate(networks.names):
        tasks.setdefault(name.partition("/")[0], []).append(index)
    named = {task: tuple(a for a in actions if task == a or task.startswith(f"{a}.")) for task in tasks}
    taken = {action for of in named.values() for action in of}
    free = tuple(action for action in actions if action not in taken)
    found = [Group(task, tuple(indices), named[task] or free) for task, indices in tasks.items()]
    return [group for group in found if group.actions]


def find_video(contents: Contents, video: str, location: str | Path) -> int:
    """Returns the index of a video.

    Raises:
        ValueError: If there is none of this name; the message names near ones.
    """
    if video in contents.video_ids:
        return contents.video_ids.index(video)
    near = difflib.get_close_matches(video, contents.video_ids, n=3)
    hint = f"did you mean {', '.join(map(repr, near))}?" if near else f"such as {contents.video_ids[0]!r}"
    raise ValueError(f"--video: no video {video!r} among the {len(contents)} of {location}; {hint}")


def find_network(networks: SavedNetworks, action: str, known: Sequence[str], name: str | None) -> int:
    """Returns the index of the network to look at: the one named, or the first for a class.

    Args:
        networks: Saved networks.
        action: The class.
        known: All classes of the data.
        name: A network's name, or None.

    Raises:
        ValueError: If there is none; the message names those there are.
    """
    names = networks.names
    if name is not None:
        if name in names:
            return names.index(name)
        near = difflib.get_close_matches(name, names, n=3) or names[:3]
        raise ValueError(f"--network: no network {name!r} among {len(names)}; there are {', '.join(near)}")
    fitting = [group for group in groups(networks, known) if action in group.actions]
    if not fitting:
        raise ValueError(f"--network: none is named for the class {action!r}; there are {', '.join(names[:5])}")
    return fitting[0].networks[0]


def stream_faults(networks: SavedNetworks, contents: Contents, location: str | Path) -> list[str]:
    """Returns why shards cannot be read by networks: a modality is not there, or has another width."""
    there = contents.schema.modalities
    return [
        f"{location}: {name} has width {there[name]}, and the networks read {width}"
        if name in there
        else f"{location}: no modality {name}, which the networks read; there are {', '.join(there)}"
        for name, width in networks.widths.items()
        if there.get(name) != width
    ]
