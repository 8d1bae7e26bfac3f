"""``benchmarks/step.py`` times what it says, and writes a row for every cell."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
import torch
from benchmark_scripts import load

STEP = load("step")
MEASURING = load("measuring")
WORKLOAD = load("workload")
TINY = ["--size", "tiny", "--batch-size", "4", "--repeats", "1", "--warmup", "1", "--widths", "8"]


def test_it_writes_a_row_for_every_cell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "step.json"
    STEP.main([*TINY, "--replicas", "1,3", "--steps", "2", "--json", str(file)])
    rows = json.loads(file.read_text(encoding="utf-8"))
    assert [(row["size"], row["width"], row["replicas"]) for row in rows] == [("tiny", 8, 1), ("tiny", 8, 3)]
    for row in rows:
        assert row["ratio_loop"] == pytest.approx(
            row["replica_steps_per_second"] / row["loop_replica_steps_per_second"]
        )
        assert row["ratio_vmap"] == pytest.approx(
            row["replica_steps_per_second"] / row["vmap_replica_steps_per_second"]
        )
        assert row["step_ms"] == pytest.approx(1e3 / row["replica_steps_per_second"])
        assert (row["threads"], row["steps"], row["precision"]) == (1, 2, "float32")
    assert rows[0]["ratio_single"] == 1
    assert len(capsys.readouterr().out.splitlines()) == 2 + len(rows)


def test_what_is_skipped_is_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "step.json"
    STEP.main([*TINY, "--replicas", "2", "--skip", "vmap", "--looped", "1", "--json", str(file)])
    (row,) = json.loads(file.read_text(encoding="utf-8"))
    assert (row["ratio_vmap"], row["looped"]) == (None, 1)
    assert "skipped" in capsys.readouterr().out


def test_a_profile_names_what_the_step_is_made_of(capsys: pytest.CaptureFixture[str]) -> None:
    STEP.main([*TINY, "--replicas", "2", "--profile"])
    said = capsys.readouterr().out
    assert "2 replicas" in said
    assert "convolution" in said
    assert "ratio_loop" not in said


def test_times_are_of_one_step_of_one_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"loop": [2.0], "ours": [3.0], "uncached": [4.0], "single": [1.0], "vmap": [24.0]}
    monkeypatch.setattr(STEP, "interleaved", lambda _contestants, **_settings: told)
    settings = {"device": "cpu", "steps": 2, "batch_size": 4, "looped": 2, "repeats": 1, "warmup": 0}
    row = STEP.measure(8, 6, argparse.Namespace(size="tiny", compile="", **settings), [])
    assert row["loop_ms"] == pytest.approx(1e3 * 2 / (2 * 2))
    assert row["step_ms"] == pytest.approx(1e3 * 3 / (2 * 6))
    assert row["ratio_loop"] == pytest.approx(2.0)
    assert row["ratio_loop_uncached"] == pytest.approx(1.5)
    assert row["ratio_vmap"] == pytest.approx(8.0)
    assert row["ratio_single"] == pytest.approx(2.0)


def test_contestants_take_turns_and_warming_rounds_do_not_count() -> None:
    calls: list[str] = []
    contestants = {name: (lambda name=name: calls.append(name)) for name in "ab"}
    seconds = MEASURING.interleaved(contestants, repeats=2, warmup=1, device="cpu")
    assert calls == ["a", "b"] * 3
    assert {name: len(of) for name, of in seconds.items()} == {"a": 2, "b": 2}


def test_our_side_takes_as_many_steps_as_the_loop() -> None:
    work = WORKLOAD.Workload.of("tiny", 12, width=8, batch_size=4)
    part = (WORKLOAD.np.arange(12), WORKLOAD.np.arange(12))
    training = work.training(work.bank("cpu"), [part] * 2)
    ours = WORKLOAD.Epochs(training)
    ours.epoch()
    assert list(training.steps) == [3, 3]
    ours.epoch()
    assert list(training.steps) == [6, 6]


def test_what_does_not_fit_the_memory_is_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(width: int, replicas: int, _arguments: argparse.Namespace, skip: tuple[str, ...]) -> dict[str, object]:
        if replicas > 4 or not skip:
            raise torch.OutOfMemoryError
        return {"width": width, "skipped": skip}

    monkeypatch.setattr(STEP, "measure", measure)
    assert STEP.measure_fitting(8, 4, argparse.Namespace(skip=[])) == {"width": 8, "skipped": ("vmap",)}
    assert capsys.readouterr().out == "width 8, 4 replicas: out of memory, skipping nothing\n"
    assert STEP.measure_fitting(8, 5, argparse.Namespace(skip=["vmap"])) is None
    assert capsys.readouterr().out == "width 8, 5 replicas: out of memory, skipping vmap\n"


def test_what_is_compiled_has_met_its_noise_before(monkeypatch: pytest.MonkeyPatch) -> None:
    work = WORKLOAD.Workload.of("tiny", 4, width=8, batch_size=4)
    part = (WORKLOAD.np.arange(4), WORKLOAD.np.arange(4))
    training = work.training(work.bank("cpu"), [part])
    asked: list[tuple[str, list[int]]] = []
    monkeypatch.setattr(training.network, "compile", lambda backend: asked.append((backend, list(training.steps))))
    STEP.compiled(training, "inductor").epoch()
    assert asked == [("inductor", [1])]
    assert training.steps == [2]
