from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pamfn import ingest
from pamfn.data.shards import read_table_of_contents

Command = Callable[..., Any]
Capsys = pytest.CaptureFixture[str]


@pytest.fixture
def command(per_video_source: Path, tmp_path: Path, capsys: Capsys) -> Any:
    """Returns a function that ingests the source and returns status and faults."""

    def run(*options: Any) -> Any:
        common = ["--layout", "per-video", "--source", str(per_video_source), "--out", str(tmp_path / "out")]
        status = ingest.main([*common, "--modality", "rgb", *options])
        return status, capsys.readouterr().err.splitlines()[:-1]

    return run


def test_there_are_two_scores_of_45_one_modality_and_one_action(command: Command, tmp_path: Path) -> None:
    assert command() == (0, [])
    schema, contents = read_table_of_contents(tmp_path / "out")
    assert (schema.modalities, schema.scores) == ({"rgb": 4}, {"TES": 45.0, "PCS": 45.0})
    assert set(contents.actions) == {"all"}
    assert contents.splits[contents.video_ids.index("6")] == "test"
    assert contents.scores["PCS"][contents.video_ids.index("2")] == 32.5


def test_one_score_with_another_largest_value(command: Command, tmp_path: Path) -> None:
    assert command("--score-column", "TES", "--score-max", "60")[0] == 0
    assert read_table_of_contents(tmp_path / "out")[0].scores == {"TES": 60.0}


def test_faults_of_labels_and_features_come_together(command: Command, per_video_source: Path) -> None:
    features = per_video_source / "features"
    (features / "1.npy").unlink()
    np.save(features / "2.npy", np.array([{"a": 1}]), allow_pickle=True)
    (features / "3.npy").write_bytes((features / "3.npy").read_bytes()[:-3])
    np.save(features / "4.npy", np.ones((3, 7)))
    (per_video_source / "test.txt").write_text("6 26.5 46\n")
    status, faults = command()
    assert status == 1
    assert faults[0] == (
        "features/2.npy: video '2': is not a readable .npy array "
        "(Object arrays cannot be loaded when allow_pickle=False)"
    )
    assert faults[1].startswith("features/3.npy: video '3': is not a readable .npy array (")
    assert faults[2:] == [
        "test.txt:1: video '6': score 'PCS' is 46, outside 0 to 45; correct it, or give the true C by --score-max",
        "features/1.npy: video '1': rgb: no features; every labelled video needs all modalities",
        "features/4.npy: video '4': rgb: width 7; most videos have 4",
    ]


def test_an_unknown_score_and_a_missing_label_file(command: Command, per_video_source: Path) -> None:
    assert command("--score-column", "total") == (1, [f"{per_video_source}: no score 'total'; there are TES, PCS"])
    (per_video_source / "test.txt").unlink()
    assert command() == (1, ["test.txt: cannot be read (No such file or directory)"])


def test_a_modality_must_have_a_usable_name(command: Command) -> None:
    [fault] = command("--modality", "video rgb")[1]
    assert fault.startswith("modality 'video rgb': a name is letters, digits, '_' and '-', and none of action, ")
