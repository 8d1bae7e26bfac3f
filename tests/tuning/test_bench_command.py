from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tuning.bench.command import DEVELOPMENT, main

TASKS = DEVELOPMENT[:2]


@pytest.fixture
def folder(shared_data: Callable[[str], Path]) -> Path:
    return shared_data("lcbench")


def run(folder: Path, out: Path, *options: str) -> dict[str, Any]:
    words = ["--data", str(folder), "--tasks", ",".join(TASKS), "--seeds", "2", "--budget", "4", "--json", str(out)]
    assert main([*words, *options]) == 0
    return dict(json.loads(out.read_text(encoding="utf-8")))


def test_the_json_has_every_method_with_its_mean_regret_and_what_was_run(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = run(folder, tmp_path / "a.json", "--methods", "ours,random,ray-hyperopt@3/3")
    assert list(content["methods"]) == ["ours", "random", "ray-hyperopt@3/3"]
    assert all(isinstance(row["mean_regret"], float) for row in content["methods"].values())
    assert set(content["methods"]["random"]["difference"]) == {"mean", "low", "high"}
    assert list(content["methods"]["random"]["regret"]) == list(TASKS)
    assert content["settings"]["tasks"] == list(TASKS)
    assert len(content["methods"]["ours"]["curve"]) == len(content["settings"]["shares"])
    assert "2 tasks x 2 seeds, 4 workers, time for 4 full trainings" in capsys.readouterr().out


def test_a_second_run_says_the_same(folder: Path, tmp_path: Path) -> None:
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for file in files:
        run(folder, file, "--methods", "ours,random")
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.slow
def test_more_processes_say_the_same(folder: Path, tmp_path: Path) -> None:
    for jobs in ("1", "2"):
        run(folder, tmp_path / jobs, "--methods", "ours,random", "--jobs", jobs)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_a_peer_that_is_missing_is_left_out_with_a_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    content = run(folder, tmp_path / "a.json", "--methods", "random,optuna-halving,optuna-halving@3/3")
    assert list(content["methods"]) == ["random"]
    assert capsys.readouterr().err.splitlines() == [
        "optuna-halving: left out, without optuna; pip install 'pamfn-tuning[bench]'"
    ]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--tasks", "1"], "--tasks: 1 is no task of LCBench"),
        (["--methods", "theirs"], "--methods: theirs is no method"),
    ],
)
def test_a_wrong_request_ends_with_2_and_the_way_out(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    assert main(["--data", str(folder), *options]) == 2
    assert says in capsys.readouterr().err


def test_missing_data_end_with_2_and_the_way_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path)]) == 2
    assert "https://github.com/slds-lmu/yahpo_data" in capsys.readouterr().err


def test_missing_onnxruntime_ends_with_2_and_the_way_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert main(["--data", str(folder)]) == 2
    assert capsys.readouterr().err == "onnxruntime is not installed; pip install 'pamfn-tuning[bench]'\n"


@pytest.mark.parametrize(("option", "value"), [("--seeds", "0"), ("--workers", "x"), ("--budget", "-1")])
def test_a_number_out_of_range_ends_with_2(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--data", "x", option, value])
    assert caught.value.code == 2
    assert f"{value!r} must be" in capsys.readouterr().err
