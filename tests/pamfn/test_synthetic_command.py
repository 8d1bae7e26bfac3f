"""``python -m pamfn.synthetic`` writes shards, prints what can be reached, and refuses a wrong request in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pamfn.data.shards import read_shards
from pamfn.data.synthetic import generate
from pamfn.synthetic import main


def test_shards_hold_the_set_that_size_and_seed_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path / "planted"), "--size", "tiny", "--seed", "7"]) == 0
    features, best = generate("tiny", seed=7)
    assert read_shards(tmp_path / "planted").schema == features.schema
    printed = capsys.readouterr().out
    assert "180 videos (train 120, test 60) of 2 actions (Ball, Hoop)" in printed
    assert f"best reachable Spearman: Ball {best['Ball']:.3f}, Hoop {best['Hoop']:.3f}, average " in printed
    assert features.schema.digest[:12] in printed


def test_the_control_says_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path / "control"), "--size", "tiny", "--control"]) == 0
    assert "control: flow and audio show what rgb shows" in capsys.readouterr().out


def test_a_folder_with_shards_is_refused_and_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path), "--size", "tiny"]) == 0
    before = read_shards(tmp_path).schema.digest
    assert main(["--out", str(tmp_path), "--size", "tiny", "--seed", "1"]) == 2
    assert "already holds part-00000-of-00001.parquet" in capsys.readouterr().err
    assert read_shards(tmp_path).schema.digest == before


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "planted").write_text("")
    assert main(["--out", str(tmp_path / "planted"), "--size", "tiny"]) == 2
    assert "is a file; --out names a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "message"), [(["--size", "huge"], "invalid choice: 'huge'"), (["--seed", "x"], "invalid int value: 'x'")]
)
def test_a_wrong_option_is_refused(wrong: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--out", "planted", *wrong])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
