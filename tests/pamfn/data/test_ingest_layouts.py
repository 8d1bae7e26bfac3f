"""What holds for every layout: one contract, one table of layouts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pamfn import ingest
from pamfn.data.shards import read_shards, read_table_of_contents

Layout = tuple[Path, Callable[..., int]]
Capsys = pytest.CaptureFixture[str]

LAYOUTS = {
    "published": ("published_source", []),
    "per-video": ("per_video_source", ["--modality", "rgb"]),
    "table": ("table_source", ["--score-max", "10"]),
}


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Returns a source, and a command that ingests it and returns its exit status."""
    name, (fixture, options) = request.param, LAYOUTS[request.param]
    source = request.getfixturevalue(fixture)

    def command(*more: Any, out: Path = tmp_path / "out") -> Any:
        return ingest.main(["--layout", name, "--source", str(source), "--out", str(out), *options, *more])

    return source, command


def test_a_sound_source_becomes_shards_and_a_summary(layout: Layout, tmp_path: Path, capsys: Capsys) -> None:
    _, command = layout
    assert command() == 0
    contents = read_table_of_contents(tmp_path / "out")[1]
    printed = capsys.readouterr()
    train, test = contents.splits.count("train"), contents.splits.count("test")
    assert printed.out.startswith(f"{len(contents)} videos (train {train}, test {test}) of ")
    assert printed.out.endswith(f"look at them: python -m pamfn.inspect {tmp_path}/out\n")
    assert printed.err == ""


def test_the_same_source_gives_the_same_digest(layout: Layout, tmp_path: Path) -> None:
    _, command = layout
    assert command(out=tmp_path / "a") == command(out=tmp_path / "b") == 0
    assert read_table_of_contents(tmp_path / "a")[0] == read_table_of_contents(tmp_path / "b")[0]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_the_stored_precision_is_a_choice(layout: Layout, tmp_path: Path, dtype: str) -> None:
    _, command = layout
    assert command("--dtype", dtype) == 0
    assert {str(v.dtype) for v in read_shards(tmp_path / "out").features.values()} == {dtype}


def test_shards_are_not_overwritten(layout: Layout, tmp_path: Path, capsys: Capsys) -> None:
    _, command = layout
    assert command() == 0
    assert command() == 2
    assert "already holds part-00000-of-00001.parquet (1 shard); choose another folder" in capsys.readouterr().err


def test_an_empty_folder_is_no_source(layout: Layout, tmp_path: Path, capsys: Capsys) -> None:
    source, command = layout
    shutil.rmtree(source)
    assert command() == 2
    assert capsys.readouterr().err == f"--source: {source} is not a folder\n1 fault; nothing was written\n"
    source.mkdir()
    assert command() == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layout", "table"], "--score-max: is needed by --layout table, which does not say it"),
        (["--layout", "per-video"], "--modality: is needed by --layout per-video, which does not say it"),
        (
            ["--layout", "published", "--action-column", "class"],
            "--action-column: means nothing to --layout published; it belongs to table",
        ),
        (
            ["--layout", "table", "--score-max", "9", "--features", "2"],
            "--features: means nothing to --layout table; it belongs to published",
        ),
    ],
)
def test_options_that_do_not_fit_the_layout_are_refused(
    tmp_path: Path, capsys: Capsys, arguments: list[str], message: str
) -> None:
    assert ingest.main([*arguments, "--source", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == f"{message}\n1 fault; nothing was written\n"


def test_a_largest_score_that_is_no_number_is_refused(tmp_path: Path, capsys: Capsys) -> None:
    with pytest.raises(SystemExit) as exit_:
        ingest.main(["--layout", "table", "--source", "x", "--out", "y", "--score-max", "-3"])
    assert exit_.value.code == 2
    assert "argument --score-max: '-3' is not a positive number" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_said_in_one_line(layout: Layout, tmp_path: Path, capsys: Capsys) -> None:
    _, command = layout
    (tmp_path / "file").write_text("")
    assert command(out=tmp_path / "file" / "out") == 1
    assert capsys.readouterr().err.startswith(f"{tmp_path}/file/out: cannot be written (Not a directory)")


def test_features_survive_the_way_exactly(per_video_source: Path, tmp_path: Path) -> None:
    options = ["--modality", "rgb", "--out", str(tmp_path / "out")]
    assert ingest.main(["--layout", "per-video", "--source", str(per_video_source), *options]) == 0
    features = read_shards(tmp_path / "out")
    for index, video in enumerate(features.video_ids):
        expected = np.load(per_video_source / "features" / f"{video}.npy")
        np.testing.assert_array_equal(features.subset([index]).features["rgb"], expected)
