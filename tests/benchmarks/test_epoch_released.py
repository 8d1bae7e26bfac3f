"""``benchmarks/epoch_released.py`` feeds and scores as the released code does, and tells both sides' time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmark_scripts import load

EPOCH = load("epoch_released")
WORKLOAD = load("workload")


def work(**changes: int) -> object:
    return WORKLOAD.Workload.of("tiny", 20, **{"width": 8, "batch_size": 4, **changes})


def test_it_writes_a_row_for_every_number_of_folds_and_workers(tmp_path: Path) -> None:
    file = tmp_path / "epoch.json"
    tiny = ["--size", "tiny", "--videos", "10", "--batch-size", "4", "--widths", "8", "--repeats", "1"]
    EPOCH.main([*tiny, "--folds", "1,2", "--workers", "0,1", "--json", str(file)])
    rows = json.loads(file.read_text(encoding="utf-8"))
    assert [(row["folds"], row["workers"]) for row in rows] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    for row in rows:
        assert row["ratio"] == pytest.approx(row["released_s"] / row["ours_s"])
        assert row["released_scoring_s"] > 0
        assert row["ours_scoring_s"] > 0


def test_more_than_five_folds_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        EPOCH.main(["--folds", "1,6"])
    assert "--folds: 6 is above 5" in capsys.readouterr().err


def test_an_item_is_one_crop_of_all_modalities_zero_padded() -> None:
    videos = work()
    for clip, index in ((12, 3), (40, 4)):
        (x, target) = EPOCH.Videos(videos, np.arange(20), clip)[index]
        length = len(videos.videos[index]["rgb"])
        kept = min(clip, length)
        starts = {
            name: [s for s in range(length - kept + 1) if (of[s : s + kept] == x[name][:kept]).all()]
            for name, of in videos.videos[index].items()
        }
        assert all(len(found) == 1 for found in starts.values())
        assert len({found[0] for found in starts.values()}) == 1
        assert all(of.shape[0] == clip and not of[kept:].any() for of in x.values())
        assert float(target) == pytest.approx(videos.scores_V[index] / videos.largest)


def test_crops_start_everywhere_that_the_clip_fits() -> None:
    videos = work()
    dataset = EPOCH.Videos(videos, np.arange(20), 12)
    length = len(videos.videos[0]["rgb"])
    firsts = {float(dataset[0][0]["rgb"][0, :4].sum()) for _ in range(400)}
    assert firsts == {float(row) for row in videos.videos[0]["rgb"][: length - 11, :4].sum(1)}


def test_folds_part_the_videos() -> None:
    parts = EPOCH.parts_of(23, 5)
    assert sorted(np.concatenate([valid for _, valid in parts])) == list(range(23))
    assert all(sorted([*train, *valid]) == list(range(23)) for train, valid in parts)


def test_an_epoch_trains_on_every_training_video_and_tests_whole_held_out_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    videos = work()
    ((train, valid),) = EPOCH.parts_of(20, 1)
    released = EPOCH.Released(videos, train, valid, workers=0, device="cpu")
    seen: list[tuple[bool, tuple[int, ...]]] = []
    network = released._network
    network.register_forward_pre_hook(lambda module, x: seen.append((module.training, tuple(x[0]["rgb"].shape[:2]))))
    correlation = released.epoch()
    assert -1 <= correlation <= 1
    clip = videos.settings.clip
    assert [shape for training, shape in seen if training] == [(4, clip)] * 4
    tested = [shape for training, shape in seen if not training]
    assert tested == [(1, len(videos.videos[video]["rgb"])) for video in valid]


@pytest.mark.parametrize("workers", [0, 1])
def test_released_training_learns(workers: int) -> None:
    torch.manual_seed(0)
    videos = work(lr=3e-3, feature_dropout=0.0, embedding_dropout=0.0, attention_dropout=0.0)
    chosen = np.arange(12)
    released = EPOCH.Released(videos, chosen, chosen, workers=workers, device="cpu")
    correlations = [released.epoch() for _ in range(25 if workers == 0 else 2)]
    assert np.isfinite(correlations).all()
    assert workers or max(correlations) > 0.8
