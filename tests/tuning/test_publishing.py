"""Checkpoints as engines write them: whole, once, and without harm to those of another engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tuning.keeping import newest_checkpoint, remove_weights
from tuning.publishing import Publisher
from tuning.trial_files import STANDING, is_complete, write_checkpoint

CONFIG = {"lr": 0.1}


class Saved:
    """Stands in for a trial that has so many legs behind it."""

    def __init__(self, passed, by="me"):
        self.passed, self.by = passed, by

    def save(self, folder: Path) -> None:
        state = {"weights/w": torch.ones(2), "optimizer/w": torch.zeros(2), "step": torch.tensor(self.passed)}
        write_checkpoint(folder, [state], [], {"config": CONFIG, "by": self.by}, ended=False)


class Torn(Saved):
    """Stands in for a trial whose disk is full."""

    def save(self, folder: Path) -> None:
        (folder / STANDING).write_text("{")
        raise OSError("no space left on device")


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def author(folder: Path) -> str:
    return json.loads((folder / STANDING).read_text())["by"]


def test_what_is_published_is_complete_and_the_newest(tmp_path):
    publisher = Publisher(tmp_path / "1" / "0000")
    for passed in (1, 3, 12):
        publisher.publish(Saved(passed))
    assert newest_checkpoint(tmp_path, "0000", CONFIG) == tmp_path / "1" / "0000" / "checkpoint_000012"


def test_an_engine_keeps_the_newest_two_of_its_own(tmp_path):
    publisher = Publisher(tmp_path)
    for passed in (1, 3, 9, 27):
        publisher.publish(Saved(passed))
    assert left(tmp_path) == ["checkpoint_000009", "checkpoint_000027"]


def test_what_could_not_be_written_whole_is_not_there_at_all(tmp_path):
    publisher = Publisher(tmp_path)
    publisher.publish(Saved(1))
    with pytest.raises(OSError, match="no space left"):
        publisher.publish(Torn(3))
    assert left(tmp_path) == ["checkpoint_000001"]
    publisher.publish(Saved(3))
    assert is_complete(tmp_path / "checkpoint_000003")


def test_two_engines_with_the_same_trial_do_not_harm_each_others_files(tmp_path):
    first, second = Publisher(tmp_path), Publisher(tmp_path)
    first.publish(Saved(1, "first"))
    second.publish(Saved(1, "second"))
    assert author(tmp_path / "checkpoint_000001") == "first"
    for passed in (2, 3, 4):
        second.publish(Saved(passed, "second"))
    first.publish(Saved(2, "first"))
    assert left(tmp_path) == ["checkpoint_000001", "checkpoint_000002", "checkpoint_000003", "checkpoint_000004"]
    assert author(tmp_path / "checkpoint_000002") == "first"
    assert author(newest_checkpoint(tmp_path.parent, tmp_path.name) or tmp_path / "checkpoint_000004") == "second"


def test_two_engines_that_write_the_same_at_the_same_time_leave_one_of_them(tmp_path):
    class Slow(Saved):
        def save(self, folder):
            super().save(folder)
            Publisher(tmp_path).publish(Saved(self.passed, "faster"))

    Publisher(tmp_path).publish(Slow(5))
    assert left(tmp_path) == ["checkpoint_000005"]
    assert author(tmp_path / "checkpoint_000005") == "faster"


def test_a_forgotten_engine_brings_nothing_back_of_a_trial_that_has_ended(tmp_path):
    publisher = Publisher(tmp_path / "1" / "0000")
    publisher.publish(Saved(9))
    remove_weights(tmp_path, "0000")
    Publisher(tmp_path / "1" / "0000").publish(Saved(9))
    assert [path.name for path in (tmp_path / "1" / "0000" / "checkpoint_000009").iterdir()] == [STANDING]


def test_what_an_engine_left_half_written_goes_with_the_trials_end(tmp_path):
    folder = tmp_path / "1" / "0000"
    Publisher(folder).publish(Saved(9))
    (folder / ".checkpoint_000012.abc").mkdir()
    remove_weights(tmp_path, "0000")
    assert left(folder) == ["checkpoint_000009"]
