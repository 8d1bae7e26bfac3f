"""What stays of a trial's checkpoint when the trial has ended: weights go to MLflow as asked, moments go."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from tuning.trial_files import BEST, LAST, MOMENTS, STANDING


class FileLog(Protocol):
    """Where files of a run are kept; the tracker is one."""

    def log_file(self, trial_id: str | None, path: Path, folder: str | None = None) -> None:
        """Keeps a file with a trial's run."""
        ...


class CheckpointKeeper:
    """Told what happens to trials (see `tuning.events.Listener`); acts when one has ended.

    Optimiser state is kept only for trials that run or wait. Trained weights go to MLflow by ``tracking.checkpoints``:
    ``finished`` keeps those of every trial that ran its full budget, ``all`` of every trial, ``top`` of none here (the
    best few become logged models).

    Args:
        folder: Where Tune keeps a folder for each trial, named by its id.
        policy: ``finished``, ``all`` or ``top``.
        log: Where files go.
    """

    def __init__(self, folder: Path, policy: str, log: FileLog) -> None:
        self._folder, self._policy, self._log = folder, policy, log
        self._done: set[str] = set()

    def trial_started(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """Nothing to do."""

    def trial_reported(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Nothing to do."""

    def trial_retried(self, trial_id: str, error: str) -> None:
        """Nothing to do."""

    def trial_ended(self, trial_id: str, reason: str) -> None:
        """Keeps what the policy asks for, and drops the moments, which nothing will continue from."""
        checkpoint = latest_checkpoint(self._folder / trial_id)
        if checkpoint is None or trial_id in self._done:
            return
        if self._policy == "all" or (self._policy == "finished" and reason == "finished"):
            for name in (LAST, BEST, STANDING):
                if (checkpoint / name).exists():
                    self._log.log_file(trial_id, checkpoint / name, "checkpoint")
        if not reason.startswith(("failed", "interrupted")):
            (checkpoint / MOMENTS).unlink(missing_ok=True)
        self._done.add(trial_id)


def latest_checkpoint(folder: Path) -> Path | None:
    """Returns a trial's newest complete checkpoint, or None."""
    found = sorted(folder.glob("checkpoint_*")) if folder.exists() else []
    return next((path for path in reversed(found) if (path / STANDING).exists()), None)
