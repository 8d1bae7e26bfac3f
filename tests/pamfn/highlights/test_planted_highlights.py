"""Planted highlights are marked as annotators would, shown by every modality in part, and survive the way to disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pamfn import inspect
from pamfn.data.bank import ABSENT, Bank
from pamfn.data.faults import ShardError
from pamfn.data.features import FeatureSet
from pamfn.data.planted_highlights import BORDERLINE, SHARE
from pamfn.data.planted_sizes import SIZES
from pamfn.data.rules import content_faults
from pamfn.data.shards import read_shards, write_shards
from pamfn.data.synthetic import Planted, plant
from pamfn.highlights.average_precision import mean_average_precision
from pamfn.highlights.labels import is_highlight
from pamfn.synthetic import main


@pytest.fixture(scope="module")
def tiny() -> Planted:
    return plant("highlights-tiny", seed=3)


def matches(features: FeatureSet) -> np.ndarray:
    assert features.segment_labels is not None
    return features.segment_labels


def by_video(values_S: np.ndarray, features: FeatureSet, videos: np.ndarray) -> list[np.ndarray]:
    return [values_S[features.rows([video])] for video in videos]


def test_every_segment_is_marked_and_shares_are_those_of_the_class(tiny: Planted) -> None:
    features = tiny.features
    assert content_faults(features) == []
    assert set(np.unique(matches(features))) == {-1.0, 0.0, 1.0}
    for action in SIZES["highlights-tiny"].actions:
        mine = matches(features)[features.rows(features.where(action=action))]
        assert [(mine == match).mean() for match in (1, 0)] == pytest.approx([SHARE, BORDERLINE], abs=0.002)


def test_a_videos_score_is_its_share_of_highlights(tiny: Planted) -> None:
    features = tiny.features
    shares = [is_highlight(mine).mean() for mine in by_video(matches(features), features, np.arange(len(features)))]
    np.testing.assert_allclose(features.scores["highlights"], shares)
    assert features.schema.scores == {"highlights": 1.0}


def test_one_modality_shows_part_of_what_all_show_together(tiny: Planted) -> None:
    """Ranked by the best linear reading of the features of the training videos, for what no reading can see is gone."""
    features, reached = tiny.features, {}
    train, test = (features.where(action="dog", split=split) for split in ("train", "test"))
    streams = {name: values.astype(np.float64) for name, values in features.features.items()}
    streams["all"] = np.concatenate(list(streams.values()), axis=1)
    for name, x in streams.items():
        x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
        rows = features.rows(train)
        weights = np.linalg.lstsq(x[rows], matches(features)[rows])[0]
        videos = by_video(x @ weights, features, test), by_video(matches(features), features, test)
        reached[name] = mean_average_precision(*videos)
    alone = [reached[name] for name in features.features]
    chance = mean_average_precision(
        [np.zeros(features.lengths[v]) for v in test], by_video(matches(features), features, test)
    )
    assert min(alone) > chance + 0.05
    assert reached["all"] > max(alone) + 0.05
    assert reached["all"] < tiny.best["dog"] - 0.05  # a fixed weighting does not follow the context


def test_the_control_keeps_the_marks_and_reaches_what_one_modality_shows(tiny: Planted) -> None:
    control = plant("highlights-tiny", seed=3, control=True)
    np.testing.assert_array_equal(matches(control.features), matches(tiny.features))
    np.testing.assert_array_equal(control.features.features["rgb"], tiny.features.features["rgb"])
    assert all(control.best[topic] < tiny.best[topic] - 0.2 for topic in tiny.best)


def test_marks_come_back_from_shards_and_are_of_the_digest(tiny: Planted, tmp_path: Path) -> None:
    write_shards(tiny.features, tmp_path, videos_per_shard=32)
    read = read_shards(tmp_path, actions=["surfing"], splits=["test"])
    written = tiny.features.where(action="surfing", split="test")
    np.testing.assert_array_equal(matches(read)[read.rows()], matches(tiny.features)[tiny.features.rows(written)])
    assert read.schema.digest == tiny.features.schema.digest
    changed = tiny.features.subset(np.arange(len(tiny.features)))
    matches(changed)[0] = 0.5
    assert changed.sealed().schema.digest != tiny.features.schema.digest


def test_a_segment_without_a_mark_is_refused_by_name(tiny: Planted, tmp_path: Path) -> None:
    spoilt = tiny.features.subset([4, 0, 1])
    matches(spoilt)[int(spoilt.offsets[1]) + 2] = np.nan
    with pytest.raises(
        ShardError, match=r"video 'dog_001': segment_labels holds NaN or infinity in 1 segment, the first is 2"
    ):
        write_shards(spoilt, tmp_path)


def test_a_bank_gives_the_marks_of_clips_beside_their_features(tiny: Planted) -> None:
    bank = Bank.of(tiny.features)
    videos_RB, starts_RB = np.array([[0, 5], [7, ABSENT]]), np.array([[3, 0], [20, 0]])
    given = torch.from_numpy(videos_RB), torch.from_numpy(starts_RB), 26
    found, (_, real) = bank.matches(*given), bank.clips(*given)
    for (row, place), video in np.ndenumerate(videos_RB):
        count = int(real[row, place])
        mine = np.zeros(26)
        if video != ABSENT:
            first = tiny.features.offsets[video] + starts_RB[row, place]
            mine[:count] = matches(tiny.features)[first : first + count]
        np.testing.assert_array_equal(found[row, place].numpy(), mine)
    for part in (bank, bank.only("rgb"), Bank.over(bank.arrays())):
        for video, mine in zip((2, 9), part.matches_of(np.array([2, 9])), strict=True):
            np.testing.assert_array_equal(mine, matches(tiny.features)[tiny.features.rows([video])])


def test_a_bank_of_scored_videos_has_no_marks_to_give() -> None:
    with pytest.raises(ValueError, match="segment_labels: the shards have none"):
        Bank.of(plant("tiny", seed=0).features).matches_of(np.array([0]))


def test_the_command_says_what_is_reachable_and_inspect_what_is_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: Planted
) -> None:
    assert main(["--out", str(tmp_path / "marked"), "--size", "highlights-tiny", "--seed", "3"]) == 0
    average = np.mean(list(tiny.best.values()))
    assert (
        f"best reachable mAP: dog {tiny.best['dog']:.3f}, surfing {tiny.best['surfing']:.3f}, average {average:.3f}"
        in (capsys.readouterr().out)
    )
    assert inspect.main([str(tmp_path / "marked")]) == 0
    lines = capsys.readouterr().out.splitlines()
    begin = lines.index("segments are labelled, highlights are those with a label above 0:")
    assert lines[begin + 2].split() == ["action", "split", "segments", "highlights", "share", "videos", "without"]
    features = tiny.features
    chosen = features.where(action="dog", split="train")
    marked = [is_highlight(mine) for mine in by_video(matches(features), features, chosen)]
    segments, found = sum(map(len, marked)), sum(int(mine.sum()) for mine in marked)
    without = sum(not mine.any() for mine in marked)
    assert lines[begin + 3].split() == [
        "dog",
        "train",
        *map(str, (segments, found, f"{found / segments:.2f}", without)),
    ]
