"""The benchmark of bf16 runs, and compares what it says it compares."""

from __future__ import annotations

import json

import pytest
from benchmark_scripts import load


@pytest.mark.slow
def test_bf16_is_held_against_float32(tmp_path):
    file = tmp_path / "bf16.json"
    load("bf16").main(["--width", "8", "--seeds", "1", "--epochs", "2", "--json", str(file)])
    exact, coarse, luck = json.loads(file.read_text())
    assert [row["trained"] for row in (exact, coarse, luck)] == ["float32", "bf16", "another seed"]
    assert exact["each"] == 0
    assert coarse["each"] > 0
    assert coarse["low"] <= coarse["mean"] <= coarse["high"]
    assert luck["each"] > 0
