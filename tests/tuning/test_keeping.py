"""What is kept of a trial's checkpoints when it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuning.keeping import CheckpointKeeper, latest_checkpoint
from tuning.trial_files import BEST, LAST, MOMENTS, STANDING


class Log:
    """Notes which files it is given."""

    def __init__(self):
        self.files: list[tuple[str | None, str, str | None]] = []

    def log_file(self, trial_id, path, folder=None):
        self.files.append((trial_id, path.name, folder))


def checkpoints(folder: Path, trial_id: str, count: int = 2) -> Path:
    for index in range(count):
        checkpoint = folder / trial_id / f"checkpoint_{index:06d}"
        checkpoint.mkdir(parents=True)
        for name in (LAST, BEST, MOMENTS, STANDING):
            (checkpoint / name).write_text(f"{name} {index}")
    return folder / trial_id


def left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("policy", "reason", "kept"),
    [
        ("finished", "finished", True),
        ("finished", "stopped at rung 1", False),
        ("finished", "failed: diverged", False),
        ("all", "stopped at rung 1", True),
        ("all", "failed: diverged", True),
        ("top", "finished", False),
    ],
)
def test_weights_go_where_the_policy_says(tmp_path, policy, reason, kept):
    checkpoints(tmp_path, "a")
    log = Log()
    CheckpointKeeper(tmp_path, policy, log).trial_ended("a", reason)
    assert log.files == ([("a", name, "checkpoint") for name in (LAST, BEST, STANDING)] if kept else [])


def test_checkpoints_of_an_ended_trial_stay_until_the_snapshot_knows_of_the_end(tmp_path):
    folder = checkpoints(tmp_path, "a")
    keeper = CheckpointKeeper(tmp_path, "finished", Log(), patience=60.0)
    before = left(folder)
    keeper.trial_ended("a", "stopped at rung 1")
    keeper.trial_started("b", {})
    assert left(folder) == before
    keeper.close()
    assert left(folder) == [f"checkpoint_000001/{STANDING}"]


def test_checkpoints_of_an_ended_trial_go_once_the_time_has_passed(tmp_path):
    folder = checkpoints(tmp_path, "a")
    keeper = CheckpointKeeper(tmp_path, "finished", Log(), patience=0.0)
    keeper.trial_ended("a", "finished")
    keeper.trial_reported("b", {})
    assert left(folder) == [f"checkpoint_000001/{STANDING}"]


def test_checkpoints_of_running_trials_are_left_alone(tmp_path):
    folder = checkpoints(tmp_path, "a")
    before = left(folder)
    keeper = CheckpointKeeper(tmp_path, "all", Log(), patience=0.0)
    keeper.trial_reported("a", {})
    keeper.close()
    assert left(folder) == before


def test_an_end_that_is_told_again_keeps_nothing_twice(tmp_path):
    checkpoints(tmp_path, "a")
    log = Log()
    keeper = CheckpointKeeper(tmp_path, "all", log)
    keeper.trial_ended("a", "finished")
    keeper.trial_ended("a", "finished")
    keeper.close()
    resumed = CheckpointKeeper(tmp_path, "all", log)
    resumed.trial_ended("a", "finished")
    assert len(log.files) == 3


def test_the_latest_checkpoint_is_the_newest_complete_one(tmp_path):
    folder = checkpoints(tmp_path, "a", count=3)
    (folder / "checkpoint_000002" / STANDING).unlink()
    assert latest_checkpoint(folder) == folder / "checkpoint_000001"
    assert latest_checkpoint(tmp_path / "never started") is None
