"""What stays of a trial's checkpoints when the trial has ended: weights go to MLflow as asked, the rest goes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from tuning.trial_files import BEST, LAST, MOMENTS, STANDING

SECONDS = 10.0  # well above the time between two of Tune's snapshots


class FileLog(Protocol):
    """Where files of a run are kept; the tracker is one."""

    def log_file(self, trial_id: str | None, path: Path, folder: str | None = None) -> None:
        """Keeps a file with a trial's run."""
        ...


class CheckpointKeeper:
    """Told what happens to trials (see `tuning.events.Listener`); acts when one has ended.

    Trained weights go to MLflow by ``tracking.checkpoints``: ``finished`` keeps those of every trial that ran its full
    budget, ``all`` of every trial, ``top`` of none here (the best few become logged models). Checkpoints with their
    optimiser state are for trials that run or wait, so those of an ended trial are removed, all but what says where it
    stood; not before Tune's snapshot has noted the end, since a killed study goes on from the snapshot.

    Args:
        folder: Where Tune keeps a folder for each trial, named by its id.
        policy: ``finished``, ``all`` or ``top``.
        log: Where files go.
        patience: Seconds between the end of a trial and the removal.
    """

    def __init__(self, folder: Path, policy: str, log: FileLog, patience: float = SECONDS) -> None:
        self._folder, self._policy, self._log, self._patience = folder, policy, log, patience
        self._ended: dict[str, float] = {}

    def trial_started(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """Time passes."""
        self._remove(self._patience)

    def trial_reported(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Time passes."""
        self._remove(self._patience)

    def trial_retried(self, trial_id: str, error: str) -> None:
        """Time passes."""
        self._remove(self._patience)

    def trial_ended(self, trial_id: str, reason: str) -> None:
        """Keeps what the policy asks for."""
        checkpoint = latest_checkpoint(self._folder / trial_id)
        if trial_id in self._ended or checkpoint is None:
            return
        if self._policy == "all" or (self._policy == "finished" and reason == "finished"):
            for name in (LAST, BEST, STANDING):
                if (checkpoint / name).exists():
                    self._log.log_file(trial_id, checkpoint / name, "checkpoint")
        self._ended[trial_id] = time.monotonic()

    def close(self) -> None:
        """Removes the rest; Tune has written its last snapshot."""
        self._remove(0.0)

    def _remove(self, patience: float) -> None:
        for trial_id in [name for name, when in self._ended.items() if time.monotonic() - when >= patience]:
            remove_weights(self._folder / trial_id)
            self._ended[trial_id] = float("inf")


def latest_checkpoint(folder: Path) -> Path | None:
    """Returns a trial's newest complete checkpoint with its weights, or None."""
    found = sorted(folder.glob("checkpoint_*"), reverse=True)
    return next((path for path in found if (path / STANDING).exists() and (path / LAST).exists()), None)


def remove_weights(folder: Path) -> None:
    """Removes a trial's checkpoints, all but the newest one's account of where the trial stood."""
    newest = latest_checkpoint(folder)
    for checkpoint in folder.glob("checkpoint_*"):
        if checkpoint != newest:
            shutil.rmtree(checkpoint)
    for name in (LAST, BEST, MOMENTS):
        if newest is not None:
            (newest / name).unlink(missing_ok=True)
