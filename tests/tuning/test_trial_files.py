"""A trial's checkpoint: whole, or not one."""

from __future__ import annotations

import pytest
import torch

from tuning.trial_files import BEST, LAST, MOMENTS, STANDING, is_complete, write_checkpoint

STATES = [{"weights/a": torch.ones(64), "optimizer/0.step": torch.ones(1), "step": torch.tensor(3)}]


@pytest.fixture(name="folder")
def _folder(tmp_path):
    write_checkpoint(tmp_path, STATES, [{"a": torch.ones(64)}], {"curve": []}, ended=False)
    return tmp_path


def test_a_whole_checkpoint_is_complete(folder):
    assert is_complete(folder)


@pytest.mark.parametrize("name", [LAST, BEST, MOMENTS, STANDING])
def test_a_file_that_was_cut_short_makes_it_incomplete(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    assert not is_complete(folder)


@pytest.mark.parametrize("name", [LAST, MOMENTS, STANDING])
def test_a_file_that_is_gone_makes_it_incomplete(folder, name):
    (folder / name).unlink()
    assert not is_complete(folder)
