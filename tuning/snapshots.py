"""Tune's snapshot of a study, kept a second time: Tune writes it in place, and a kill may leave half of it."""

from __future__ import annotations

import json
import pickle
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ray import cloudpickle, tune

STATE, SEARCHER, SEARCH = "experiment_state-*.json", "searcher-state-*.json", "search_gen_state-*.json"
SECONDS = 10.0


class SnapshotCopies(tune.Callback):  # type: ignore[misc]  # Ray is untyped
    """Copies the snapshot now and then, if it is whole.

    Args:
        folder: Where Tune keeps it.
        copies: Where the copies go; outside of ``folder``, all of which Tune reads.
        every: Seconds between two copies.
    """

    def __init__(self, folder: Path, copies: Path, every: float = SECONDS) -> None:
        self._folder, self._copies, self._every = folder, copies, every
        self._last = time.monotonic()

    def on_step_end(self, iteration: int, trials: Sequence[Any], **_: Any) -> None:
        """Copies if it is time."""
        if time.monotonic() - self._last >= self._every:
            self._last = time.monotonic()
            copy(self._folder, self._copies)


def copy(folder: Path, copies: Path) -> None:
    """Copies the newest snapshot, each of its files whole or not at all; does nothing while Tune is writing it."""
    contents = _read(folder)
    if not _sound(contents):
        return
    copies.mkdir(exist_ok=True)
    for name, content in contents.items():
        unfinished = copies / f".{name}"
        unfinished.write_bytes(content)
        unfinished.replace(copies / name)


def mend(folder: Path, copies: Path) -> None:
    """Puts the last copy in the place of a snapshot that is not whole; without one the study starts afresh."""
    contents = _read(folder)
    if not contents or _sound(contents):
        return
    for name in contents:
        (folder / name).unlink()
    for name in newest(copies):
        shutil.copyfile(copies / name, folder / name)


def newest(folder: Path) -> list[str]:
    """Returns the names of the files that Tune would go on from; each launch has its own, named by its time."""
    found = (sorted(path.name for path in folder.glob(pattern)) for pattern in (STATE, SEARCHER, SEARCH))
    return [names[-1] for names in found if names]


def _read(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in newest(folder)}


def _sound(contents: Mapping[str, bytes]) -> bool:
    return len(contents) == 3 and all(is_whole(name, content) for name, content in contents.items())


def is_whole(name: str, content: bytes) -> bool:
    """Tells whether a file of a snapshot can be read to its end."""
    try:
        if name.startswith("search_gen"):
            cloudpickle.loads(content)
        else:
            json.loads(content)
    except (ValueError, EOFError, pickle.UnpicklingError):
        return False
    return True
