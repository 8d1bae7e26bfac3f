"""``benchmarks/highlights.py`` tells what it says, and fusing pays on planted highlights and not on their control."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_scripts import load

from pamfn.data.synthetic import plant
from pamfn.highlights.average_precision import mean_average_precision

HIGHLIGHTS = load("highlights")
MODELS = ["rgb", "flow", "audio", "fusion", "chance"]


def figures(folder: Path, *arguments: str) -> dict[str, Any]:
    HIGHLIGHTS.main([*arguments, "--json", str(folder / "figures.json")])
    return dict(json.loads((folder / "figures.json").read_text(encoding="utf-8")))


def test_it_tells_every_model_by_topic_and_what_chance_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = figures(tmp_path, "--epochs", "1", "--seeds", "2", "--width", "4", "--fusion-nets", "2")
    assert list(found["map"]) == MODELS
    features = plant("highlights-tiny", seed=0).features
    assert features.segment_labels is not None
    for topic in ("dog", "surfing"):
        videos = features.where(action=topic, split="test")
        constant = [np.zeros(features.lengths[v]) for v in videos]
        expected = mean_average_precision(constant, [features.segment_labels[features.rows([v])] for v in videos])
        assert found["map"]["chance"][topic] == pytest.approx(expected)
    for row in found["map"].values():
        assert row["average"] == pytest.approx((row["dog"] + row["surfing"]) / 2)
        assert row["average"] == pytest.approx(np.mean(row["by_seed"]))
        assert row["interval"][0] < row["average"] < row["interval"][1]
    assert f"{found['map']['fusion']['average']:.3f}" in capsys.readouterr().out


def test_gains_are_paired_over_videos() -> None:
    """A model that is better by as much on every video is better for certain, however much videos differ."""
    videos = [np.random.default_rng(topic).uniform(0, 0.8, (2, 30)) for topic in range(2)]
    found = {name: [of + (0.1 if name == "fusion" else 0.0) for of in videos] for name in MODELS}
    told = HIGHLIGHTS.told(found, ["dog", "surfing"])
    for gain in told["gain"].values():
        assert [gain["average"], *gain["interval"]] == pytest.approx([0.1] * 3)
    low, high = told["map"]["fusion"]["interval"]
    assert high - low > 0.05


@pytest.mark.slow
def test_fusing_pays_on_planted_highlights_and_not_on_the_control(tmp_path: Path) -> None:
    small = ["--epochs", "10", "--seeds", "1"]
    planted, control = figures(tmp_path, *small), figures(tmp_path, *small, "--control")
    assert all(gain["interval"][0] > 0 for gain in planted["gain"].values())
    assert all(planted["map"][name]["interval"][0] > planted["map"]["chance"]["average"] for name in MODELS[:4])
    best = max(control["gain"].values(), key=lambda gain: -gain["average"])
    assert best["average"] < 0.03
