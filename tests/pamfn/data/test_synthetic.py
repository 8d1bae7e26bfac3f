"""Planted data have the shape they promise, are drawn from the seed alone, and reward what they say they reward."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pamfn.data.hidden import MODALITIES, perform
from pamfn.data.planted_sizes import SIZES
from pamfn.data.rules import content_faults
from pamfn.data.synthetic import Planted, generate, plant

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def tiny() -> Planted:
    return plant("tiny", seed=3)


@pytest.mark.parametrize("size", ["tiny", "small"])
@pytest.mark.parametrize("control", [False, True])
def test_the_shape_is_that_of_the_size(size: str, control: bool) -> None:
    shape = SIZES[size]
    features, best = generate(size, seed=1, control=control)
    assert features.schema.modalities == dict(zip(MODALITIES, shape.widths, strict=True))
    assert features.schema.scores == {"total": 25.0}
    assert tuple(best) == shape.actions
    for action in shape.actions:
        assert len(features.where(action=action, split="train")) == shape.train
        assert len(features.where(action=action, split="test")) == shape.test
    assert features.lengths.min() >= shape.segments[0]
    assert features.lengths.max() <= shape.segments[1]
    assert len(set(features.lengths)) > 1
    assert content_faults(features) == []


def test_the_large_sizes_are_those_of_the_real_sets() -> None:
    rg, fisv = SIZES["rg"], SIZES["fisv"]
    assert (rg.actions, rg.train, rg.test) == (("Ball", "Clubs", "Hoop", "Ribbon"), 200, 50)
    assert (fisv.actions, fisv.train, fisv.test, tuple(fisv.scores)) == (("FISV",), 400, 100, ("TES", "PCS"))
    assert rg.widths == fisv.widths == (1024, 1024, 768)
    assert (rg.largest, fisv.largest) == (25.0, 45.0)


def test_shares_of_every_score_sum_to_one() -> None:
    for shape in SIZES.values():
        assert [sum(shares.values()) for shares in shape.scores.values()] == pytest.approx([1.0] * len(shape.scores))


def test_the_same_seed_gives_the_same_set_and_another_seed_another(tiny: Planted) -> None:
    assert generate("tiny", seed=3)[0].schema.digest == tiny.features.schema.digest
    assert generate("tiny", seed=4)[0].schema.digest != tiny.features.schema.digest


def test_an_unknown_size_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="size: 'large' is not one of tiny, small, rg, fisv"):
        generate("large", seed=0)


def test_athletes_have_several_videos_and_none_is_in_both_splits(tiny: Planted) -> None:
    features = tiny.features
    athletes = {split: {features.groups[v] for v in features.where(split=split)} for split in ("train", "test")}
    assert not athletes["train"] & athletes["test"]
    assert all(features.groups.count(athlete) == 5 for athlete in athletes["train"])


def test_features_are_like_those_of_deep_networks(tiny: Planted) -> None:
    for values in tiny.features.features.values():
        x = values.astype(np.float64)
        assert x.min() == 0
        assert 0.3 < (x == 0).mean() < 0.7
        assert 0.3 < x.std() < 3


def test_the_best_reachable_correlation_is_high_and_below_one(tiny: Planted) -> None:
    assert all(0.85 < value < 0.97 for value in tiny.best.values())


def test_the_control_keeps_scores_and_rgb_and_reaches_less(tiny: Planted) -> None:
    control = plant("tiny", seed=3, control=True)
    np.testing.assert_array_equal(control.features.scores["total"], tiny.features.scores["total"])
    np.testing.assert_array_equal(control.features.features["rgb"], tiny.features.features["rgb"])
    assert not np.array_equal(control.features.features["flow"], tiny.features.features["flow"])
    assert all(control.best[task] < tiny.best[task] - 0.1 for task in tiny.best)


def test_the_sign_of_what_rgb_and_flow_show_depends_on_the_context_that_audio_shows() -> None:
    hidden = perform(np.random.default_rng(0), np.arange(400), 40, lags=(0, 0, 0), dwell=8.0, nuisances=0)
    contextual = hidden.parts["contextual"]
    for modality, trusted in (("rgb", hidden.context > 0), ("flow", hidden.context < 0)):
        shown = hidden.views[modality][..., 2]
        assert np.corrcoef(shown[trusted], contextual[trusted])[0, 1] > 0.9
        assert np.corrcoef(shown[~trusted], contextual[~trusted])[0, 1] < -0.3
    context_shown = [np.corrcoef(hidden.views[m][..., 3].ravel(), hidden.context.ravel())[0, 1] for m in MODALITIES]
    assert context_shown == pytest.approx([0.0, 0.0, 1.0], abs=0.1)


def test_a_modality_shows_things_later_by_its_lag() -> None:
    hidden = perform(np.random.default_rng(0), np.arange(50), 40, lags=(0, 1, 3), dwell=8.0, nuisances=1)
    for modality, lag in zip(MODALITIES, (0, 1, 3), strict=True):
        shown, happened = hidden.views[modality][:, 3:, 0], hidden.parts["common"]
        fits = [np.corrcoef(shown.ravel(), happened[:, 3 - late : 40 - late].ravel())[0, 1] for late in range(4)]
        assert int(np.argmax(fits)) == lag


def test_every_process_has_variance_one_and_the_parts_are_unrelated() -> None:
    hidden = perform(np.random.default_rng(0), np.arange(4000), 20, lags=(0, 1, 2), dwell=8.0, nuisances=1)
    means = np.array([process.mean(1) for process in hidden.parts.values()])
    assert [process.var() for process in hidden.parts.values()] == pytest.approx([1.0] * 5, abs=0.06)
    assert np.abs(np.corrcoef(means) - np.eye(5)).max() < 0.08  # 5 standard errors of 4,000 videos


def test_the_hidden_context_belongs_to_the_rows_of_the_features(tiny: Planted) -> None:
    audio, context = tiny.features.features["audio"].astype(np.float64), tiny.context
    assert len(audio) == len(context)
    weights = np.linalg.lstsq(audio - audio.mean(0), context)[0]
    shown = (audio - audio.mean(0)) @ weights
    assert np.corrcoef(shown, context)[0, 1] > 0.5  # one segment late, contexts of about six
    assert abs(np.corrcoef(shown, np.roll(context, 1000))[0, 1]) < 0.2


@pytest.mark.slow
def test_fusing_and_adapting_pay_on_planted_data_and_not_on_the_control(tmp_path: Path) -> None:
    gains = _measured(tmp_path / "figures.json")
    for kind in ("fusing", "adapting"):
        planted, control = gains["planted"][kind], gains["control"][kind]
        assert planted["mean"] > 0.1
        assert planted["mean"] > 4 * planted["error"]
        assert control["mean"] < 0.02


def _measured(path: Path) -> dict[str, Any]:
    command = [sys.executable, "benchmarks/planted.py", "--size", "small", "--seeds", "2", "--json", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, capture_output=True)
    return {kind: content["gains"] for kind, content in json.loads(path.read_text()).items()}
