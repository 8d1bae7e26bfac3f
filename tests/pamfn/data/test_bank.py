from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pamfn.data.bank import Bank
from pamfn.data.features import FeatureSet
from pamfn.data.schema import Schema

LENGTHS = (5, 1, 9, 3)


def small_set(dtype: Any = np.float32) -> FeatureSet:
    lengths = np.array(LENGTHS)
    rng = np.random.default_rng(0)
    return FeatureSet(
        schema=Schema(modalities={"rgb": 4, "audio": 2}, scores={"total": 1.0}),
        video_ids=tuple("abcd"),
        actions=("x",) * 4,
        splits=("train",) * 4,
        groups=(None,) * 4,
        scores={"total": np.zeros(4)},
        lengths=lengths,
        offsets=np.array([13, 0, 1, 10]),  # videos need not lie in the order of their index
        features={name: 1 + rng.random((18, width)).astype(dtype) for name, width in (("rgb", 4), ("audio", 2))},
    )


def clip_by_loop(features: FeatureSet, modality: str, video: int, start: int, length: int) -> NDArray[np.float32]:
    values = np.zeros((length, features.schema.modalities[modality]), dtype=np.float32)
    if video < 0:
        return values
    for step in range(length):
        if start + step < features.lengths[video]:
            values[step] = features.features[modality][features.offsets[video] + start + step]
    return values


@given(
    clips=st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 10)), min_size=1, max_size=6), length=st.integers(1, 12)
)
def test_clips_are_what_a_loop_over_videos_gathers(clips: list[tuple[int, int]], length: int) -> None:
    features = small_set()
    videos, starts = (torch.tensor(column)[None] for column in zip(*clips, strict=True))
    x, segments = Bank.of(features).clips(videos, starts, length)
    for place, (video, start) in enumerate(clips):
        real = 0 if video < 0 else min(length, max(LENGTHS[video] - start, 0))
        assert segments[0, place] == real
        for modality, values in x.items():
            expected = clip_by_loop(features, modality, video, start, length)
            np.testing.assert_array_equal(values[0, place].numpy(), expected)


def test_clips_have_a_row_for_each_replica() -> None:
    x, segments = Bank.of(small_set()).clips(torch.tensor([[0, 1], [2, -1]]), torch.zeros(2, 2, dtype=torch.long), 4)
    assert x["rgb"].shape == (2, 2, 4, 4)
    assert x["audio"].shape == (2, 2, 4, 2)
    assert segments.tolist() == [[4, 1], [4, 0]]


def test_padding_is_exactly_zero_and_features_are_not() -> None:
    x, segments = Bank.of(small_set()).clips(torch.tensor([[1, -1]]), torch.zeros(1, 2, dtype=torch.long), 3)
    assert x["rgb"][0, 0, :1].ne(0).all()
    assert x["rgb"][0, 0, 1:].eq(0).all()
    assert x["rgb"][0, 1].eq(0).all()


@pytest.mark.parametrize(("videos", "at_least", "steps"), [([[0, 3]], 1, 5), ([[1, -1]], 4, 4), ([[-1, -1]], 1, 1)])
def test_whole_videos_are_padded_to_the_longest_or_more(videos: Any, at_least: int, steps: int) -> None:
    x, segments = Bank.of(small_set()).whole(torch.tensor(videos), at_least)
    assert x["rgb"].shape[2] == steps
    assert segments.tolist() == [[LENGTHS[v] if v >= 0 else 0 for v in row] for row in videos]


def test_half_precision_features_become_the_precision_asked_for() -> None:
    features = small_set(np.float16)
    x, _ = Bank.of(features, dtype=torch.float64).whole(torch.tensor([[1]]))
    assert x["rgb"].dtype == torch.float64
    np.testing.assert_array_equal(x["rgb"][0, 0, 0].numpy(), features.features["rgb"][0].astype(np.float64))


def test_the_bank_does_not_share_memory_with_the_features() -> None:
    features = small_set()
    bank = Bank.of(features)
    features.features["rgb"][:] = 0
    assert bank.whole(torch.tensor([[0]]))[0]["rgb"].ne(0).all()


def test_an_empty_bank_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a bank needs videos and features; given 0 and \['rgb', 'audio'\]"):
        Bank.of(small_set().subset([]))


def test_a_bank_over_another_banks_arrays_says_the_same_without_a_copy() -> None:
    bank = Bank.of(small_set())
    arrays = bank.arrays()
    for values in (*arrays["rows"].values(), *arrays["videos"].values()):
        values.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other = Bank.over(arrays)
    videos = torch.tensor([[2, 0, -1]])
    assert other._rows_SD["rgb"].data_ptr() == bank._rows_SD["rgb"].data_ptr()
    (mine, mine_lengths), (theirs, their_lengths) = other.whole(videos), bank.whole(videos)
    assert all(torch.equal(mine[name], theirs[name]) for name in ("rgb", "audio"))
    assert torch.equal(mine_lengths, their_lengths)
    assert other.widths == bank.widths
