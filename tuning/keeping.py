"""What stays of a trial's checkpoints when the trial has ended: weights go to MLflow as asked, the rest goes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from tuning.storage.kept import Kept
from tuning.trial_files import BEST, LAST, MOMENTS, holds, is_complete

FOLDER, LAUNCHES = "tune", "launches"


class CheckpointLog(Protocol):
    """Where trained weights are kept; the tracker is one."""

    def log_checkpoint(self, trial_id: str, folder: Path) -> None:
        """Keeps the weights of a trial's checkpoint, which may be removed then."""
        ...


class CheckpointKeeper:
    """Told what happens to trials (see `tuning.events.Listener`); acts when one has ended.

    Trained weights go to MLflow by ``tracking.checkpoints``: ``finished`` keeps those of every trial that ran its full
    budget, ``all`` of every trial, ``top`` of none here (the best few become logged models). Checkpoints with their
    optimiser state are for trials that run or wait, so those of an ended trial are removed, all but what says where it
    stood.

    Args:
        folder: Where Tune keeps a folder for each launch, and in it one for each trial, named by its id.
        policy: ``finished``, ``all`` or ``top``.
        log: Where weights go.
        kept: What lasts of the study's files; by default its folder itself.
    """

    def __init__(self, folder: Path, policy: str, log: CheckpointLog, kept: Kept | None = None) -> None:
        self._folder, self._policy, self._log, self._kept = folder, policy, log, kept

    def trial_started(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """Nothing to keep yet."""

    def trial_reported(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Nothing to keep yet."""

    def trial_waits(self, trial_id: str, rung: int) -> None:
        """Its checkpoint is what the trial goes on from."""

    def trial_retried(self, trial_id: str, error: str) -> None:
        """Its checkpoint is what the trial goes on from."""

    def trial_ended(self, trial_id: str, reason: str) -> None:
        """Keeps what the policy asks for."""
        wanted = self._policy == "all" or (self._policy == "finished" and reason == "finished")
        if self._kept is not None and self._kept.store is not None:
            if wanted and (checkpoint := kept_checkpoint(self._kept, trial_id)) is not None:
                self._log.log_checkpoint(trial_id, checkpoint)
            drop_checkpoints(self._kept, trial_id)
            return
        checkpoint = newest_checkpoint(self._folder, trial_id)
        if checkpoint is None:
            return
        if wanted:
            self._log.log_checkpoint(trial_id, checkpoint)
        remove_weights(self._folder, trial_id)


def checkpoints(folder: Path, trial_id: str) -> list[Path]:
    """Returns all checkpoints of a trial, the newest first: those of the last launch, then those of the one before."""
    launches = sorted((path for path in folder.glob("*") if path.name.isdigit()), key=lambda path: -int(path.name))
    return [path for launch in launches for path in sorted((launch / trial_id).glob("checkpoint_*"), reverse=True)]


def newest_checkpoint(folder: Path, trial_id: str, config: Mapping[str, Any] | None = None) -> Path | None:
    """Returns a trial's newest complete checkpoint, whichever launch wrote it, or None.

    Args:
        folder: Where Tune keeps a folder for each launch.
        trial_id: The trial.
        config: Its values of the searched settings. Where a journal was cut, the id may have been another's before,
            whose checkpoints are left out of account then.
    """
    complete = (path for path in checkpoints(folder, trial_id) if is_complete(path))
    return next((path for path in complete if config is None or holds(path, config)), None)


def kept_checkpoint(kept: Kept, trial_id: str, config: Mapping[str, Any] | None = None) -> Path | None:
    """Returns a trial's newest complete checkpoint of those that last, on this machine, or None.

    In a bucket only what is whole there counts: what else lies on this machine may be of a study that is gone.

    Args:
        kept: What lasts of the study's files.
        trial_id: The trial.
        config: See `newest_checkpoint`.
    """
    if kept.store is None:
        return newest_checkpoint(kept.folder / FOLDER, trial_id, config)
    for launch in sorted(launches(kept), reverse=True):
        for name in sorted(kept.folders(FOLDER, str(launch), trial_id), reverse=True):
            folder = kept.folder / name
            if kept.fetch_folder(folder) and is_complete(folder) and (config is None or holds(folder, config)):
                return folder
    return None


def begin_launch(kept: Kept, launch: int) -> None:
    """Notes that checkpoints may be written into the folder of a launch."""
    if kept.store is not None:
        kept.store.write(f"{LAUNCHES}/{launch:06d}", b"")


def launches(kept: Kept) -> list[int]:
    """Returns the launches that may have written checkpoints."""
    if kept.store is not None:
        return [int(name.rpartition("/")[2]) for name in kept.store.names(f"{LAUNCHES}/")]
    return [int(path.name) for path in (kept.folder / FOLDER).glob("*") if path.name.isdigit()]


def drop_checkpoints(kept: Kept, trial_id: str) -> None:
    """Removes all checkpoints of a trial from a bucket and from this machine."""
    for launch in launches(kept):
        kept.drop(FOLDER, str(launch), trial_id)
        shutil.rmtree(kept.folder / FOLDER / str(launch) / trial_id, ignore_errors=True)


def remove_weights(folder: Path, trial_id: str) -> None:
    """Removes a trial's checkpoints, all but the newest one's account of where the trial stood."""
    newest = newest_checkpoint(folder, trial_id)
    for checkpoint in checkpoints(folder, trial_id):
        if checkpoint != newest:
            shutil.rmtree(checkpoint)
    for draft in folder.glob(f"*/{trial_id}/.checkpoint_*"):  # of an engine that was lost while it wrote
        shutil.rmtree(draft, ignore_errors=True)
    for name in (LAST, BEST, MOMENTS):
        if newest is not None:
            (newest / name).unlink(missing_ok=True)
