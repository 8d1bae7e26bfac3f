"""Half a snapshot: what a kill leaves when it comes while Tune is writing."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from tuning.snapshots import copy, is_whole, mend, newest

NAMES = {
    "experiment_state-2026-01-02_03-04-05.json": json.dumps({"trial_data": [1, 2, 3]}).encode(),
    "searcher-state-2026-01-02_03-04-05.json": json.dumps([{"number": 0}]).encode(),
    "search_gen_state-2026-01-02_03-04-05.json": pickle.dumps({"counter": 3}),
}


@pytest.fixture
def places(tmp_path):
    """A folder with a whole snapshot, and its copy."""
    folder, copies = tmp_path / "tune", tmp_path / "snapshots"
    folder.mkdir()
    for name, content in NAMES.items():
        (folder / name).write_bytes(content)
    copy(folder, copies)
    return folder, copies


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_whole_snapshot_is_copied_and_left_alone(places):
    folder, copies = places
    assert contents(copies) == NAMES
    mend(folder, copies)
    assert contents(folder) == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kept", [0, 5])
def test_half_a_snapshot_gives_way_to_the_last_copy(places, name, kept):
    folder, copies = places
    newer = {other: content.replace(b"3", b"4") for other, content in NAMES.items()}
    for other, content in newer.items():
        (folder / other).write_bytes(content if other != name else content[:kept])
    copy(folder, copies)
    assert contents(copies) == NAMES
    mend(folder, copies)
    assert contents(folder) == NAMES


def test_half_a_snapshot_without_a_copy_is_no_snapshot(places, tmp_path):
    folder, _ = places
    (folder / "experiment_state-2026-01-02_03-04-05.json").write_bytes(b"{")
    mend(folder, tmp_path / "no copies")
    assert newest(folder) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_snapshot_that_lacks_a_file_is_not_whole(places, name):
    folder, copies = places
    (folder / name).unlink()
    mend(folder, copies)
    assert contents(folder) == NAMES


def test_a_study_without_a_snapshot_has_nothing_to_mend(tmp_path):
    mend(tmp_path / "tune", tmp_path / "snapshots")
    assert newest(tmp_path / "tune") == []


def test_the_snapshot_of_the_last_launch_counts(places):
    folder, _ = places
    later = "experiment_state-2026-02-02_03-04-05.json"
    (folder / later).write_text("[]")
    assert newest(folder)[0] == later


def test_what_is_read_to_its_end_is_whole():
    assert all(is_whole(name, content) for name, content in NAMES.items())
    assert not any(is_whole(name, content[:-1]) for name, content in NAMES.items())
