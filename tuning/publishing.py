"""A trial's checkpoints as they are written while it trains: whole or not at all, and out of each other's way.

A checkpoint's number is how many legs of its training the trial has behind it. Training is deterministic, so two
engines that hold the same trial for a while, one of them forgotten, would write the same under the same number: whoever
comes first does, and the newest is always the one that went furthest. An engine removes none but its own.
"""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Protocol

from tuning.durable import settle
from tuning.storage.kept import Kept
from tuning.trial_files import is_complete

KEPT = 2  # of those that one engine wrote: the newest, and one in case its disk loses that


class Saved(Protocol):
    """What can be saved; a trial can."""

    @property
    def passed(self) -> int:
        """How many legs lie behind it."""
        ...

    def save(self, folder: Path) -> None:
        """Writes a checkpoint into an empty folder."""
        ...


class Publisher:
    """Writes one trial's checkpoints.

    Args:
        folder: The trial's folder, below the study's.
        kept: What lasts of the study's files; by default its folder itself.
    """

    def __init__(self, folder: Path, kept: Kept | None = None) -> None:
        self._folder, self._kept = folder, kept
        self._mine: list[Path] = []

    def publish(self, trial: Saved) -> None:
        """Writes a checkpoint of a trial as it stands, if there is none of it."""
        final = self._folder / f"checkpoint_{trial.passed:06d}"
        if final in self._mine:
            return
        if self._kept is not None and self._kept.store is not None:
            if self._kept.is_kept(final):
                return
            shutil.rmtree(final, ignore_errors=True)  # of a study that is gone, or cut short
        elif is_complete(final):
            return
        draft = self._folder / f".{final.name}.{uuid.uuid4().hex}"
        draft.mkdir(parents=True)
        try:
            trial.save(draft)
            for path in draft.iterdir():
                settle(path)
            settle(draft)
            if _renamed(draft, final):
                self._mine.append(final)
                settle(self._folder)
            self._keep(final)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        for old in self._mine[:-KEPT]:
            self._drop(old)
        del self._mine[:-KEPT]

    def close(self) -> None:
        """Removes from this machine what lasts elsewhere."""
        if self._kept is not None and self._kept.store is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _keep(self, final: Path) -> None:
        """Has a checkpoint last; if it does already, it says the same."""
        if self._kept is not None:
            self._kept.keep_folder(final)

    def _drop(self, old: Path) -> None:
        if self._kept is not None and self._kept.store is not None:
            self._kept.drop(*old.relative_to(self._kept.folder).parts)
        shutil.rmtree(old, ignore_errors=True)


def _renamed(draft: Path, final: Path) -> bool:
    """Gives a folder its name, unless there is one of that name."""
    try:
        draft.rename(final)
    except OSError:
        if not final.exists():
            raise
        return False
    return True
