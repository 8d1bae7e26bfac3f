"""What is kept of a trial's checkpoints when it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tuning.keeping import CheckpointKeeper, checkpoints, newest_checkpoint
from tuning.trial_files import BEST, LAST, MOMENTS, STANDING


class Log:
    """Notes which checkpoints it is given, and what they hold then."""

    def __init__(self):
        self.kept: list[tuple[str, list[str]]] = []

    def log_checkpoint(self, trial_id, folder):
        self.kept.append((trial_id, left(folder)))


def saved(folder: Path, trial_id: str, launch: int = 1, count: int = 2) -> Path:
    """Makes checkpoints of a trial as a launch leaves them."""
    for index in range(count):
        checkpoint = folder / str(launch) / trial_id / f"checkpoint_{index:06d}"
        checkpoint.mkdir(parents=True)
        for name in (LAST, BEST, MOMENTS):
            save_file({"0/weight": torch.zeros(3)}, checkpoint / name)
        (checkpoint / STANDING).write_text(json.dumps({"ended": False}))
    return folder


def left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("policy", "reason", "kept"),
    [
        ("finished", "finished", True),
        ("finished", "stopped at rung 1", False),
        ("finished", "paused at rung 1", False),
        ("finished", "failed: diverged", False),
        ("all", "stopped at rung 1", True),
        ("all", "failed: diverged", True),
        ("top", "finished", False),
    ],
)
def test_weights_go_where_the_policy_says(tmp_path, policy, reason, kept):
    saved(tmp_path, "0000")
    log = Log()
    CheckpointKeeper(tmp_path, policy, log).trial_ended("0000", reason)
    assert log.kept == ([("0000", sorted([LAST, BEST, MOMENTS, STANDING]))] if kept else [])


def test_of_an_ended_trial_stays_what_says_where_it_stood(tmp_path):
    saved(saved(tmp_path, "0000", launch=1), "0000", launch=2)
    CheckpointKeeper(tmp_path, "finished", Log()).trial_ended("0000", "finished")
    assert left(tmp_path) == [f"2/0000/checkpoint_000001/{STANDING}"]


def test_checkpoints_of_trials_that_run_or_wait_are_left_alone(tmp_path):
    before = left(saved(tmp_path, "0000"))
    keeper = CheckpointKeeper(tmp_path, "all", Log())
    keeper.trial_started("0000", {})
    keeper.trial_reported("0000", {})
    keeper.trial_waits("0000", 1)
    keeper.trial_retried("0000", "an error")
    keeper.trial_ended("0001", "finished")
    assert left(tmp_path) == before


def test_an_end_that_is_told_again_keeps_nothing_twice(tmp_path):
    saved(tmp_path, "0000")
    log = Log()
    for _ in range(2):
        CheckpointKeeper(tmp_path, "all", log).trial_ended("0000", "finished")
    assert len(log.kept) == 1


def test_the_newest_checkpoint_is_the_last_complete_one_of_the_last_launch_that_has_one(tmp_path):
    for launch in (2, 10):
        saved(tmp_path, "0000", launch=launch, count=3)
    assert newest_checkpoint(tmp_path, "0000") == tmp_path / "10" / "0000" / "checkpoint_000002"
    (tmp_path / "10" / "0000" / "checkpoint_000002" / STANDING).unlink()
    assert newest_checkpoint(tmp_path, "0000") == tmp_path / "10" / "0000" / "checkpoint_000001"
    for index in range(2):
        weights = tmp_path / "10" / "0000" / f"checkpoint_{index:06d}" / MOMENTS
        weights.write_bytes(weights.read_bytes()[:-1])
    assert newest_checkpoint(tmp_path, "0000") == tmp_path / "2" / "0000" / "checkpoint_000002"


def test_a_trial_without_checkpoints_has_no_newest_one(tmp_path):
    assert newest_checkpoint(tmp_path / "tune", "0000") is None
    (tmp_path / "notes").mkdir()
    assert checkpoints(tmp_path, "0000") == []
