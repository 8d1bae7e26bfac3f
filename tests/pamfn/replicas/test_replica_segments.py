"""Lengths followed through pools, and pooling that respects them."""

from __future__ import annotations

import pytest
import torch

from pamfn.replicas.segments import Segments, pad_time, pool_by_two, pool_globally


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_a_mask_is_one_where_a_segment_is():
    assert Segments(3, torch.tensor([[3, 1, 0]])).mask_RBT().tolist() == [[[1, 1, 1], [1, 0, 0], [0, 0, 0]]]


def test_full_videos_need_no_mask():
    assert Segments(3).mask_RBT() is None
    x = draw(1, 2, 3, 4)
    assert Segments(3).zeroed(x) is x


def test_a_mask_comes_in_the_type_asked_for():
    segments = Segments(3, torch.tensor([[2]]))
    assert segments.mask_RBT().dtype == torch.float32
    assert segments.mask_RBT(torch.float64).dtype == torch.float64


def test_zeroing_clears_what_is_beyond_a_videos_end_and_nothing_else():
    x = draw(1, 2, 4, 3)
    zeroed = Segments(4, torch.tensor([[4, 1]])).zeroed(x)
    assert torch.equal(zeroed[0, 0], x[0, 0])
    assert torch.equal(zeroed[0, 1, :1], x[0, 1, :1])
    assert not zeroed[0, 1, 1:].any()


def test_absent_videos_alone_call_for_no_zeroing():
    x = draw(1, 2, 4, 3)
    assert Segments(4, torch.tensor([[4, 0]]), ragged=False).zeroed(x) is x


def test_a_pool_by_two_averages_pairs_and_drops_an_odd_last_step():
    x = torch.tensor([[1.0], [3.0], [5.0], [7.0], [100.0]])
    assert pool_by_two(x).flatten().tolist() == [2.0, 6.0]


@pytest.mark.parametrize("length", range(1, 20))
def test_halved_lengths_are_those_of_the_pooled_video(length):
    halved = Segments(20, torch.tensor([[length, 20]])).halved()
    assert halved.steps == 10
    assert halved.lengths_RB.tolist() == [[len(pool_by_two(torch.zeros(length, 1))), 10]]


def test_a_global_pool_averages_each_videos_own_segments():
    x = draw(1, 3, 5, 2)
    pooled = pool_globally(x, Segments(5, torch.tensor([[5, 2, 1]])))
    for b, length in enumerate((5, 2, 1)):
        torch.testing.assert_close(pooled[0, b, 0], x[0, b, :length].mean(0))


def test_an_absent_video_pools_to_zero_beside_shorter_ones():
    assert not pool_globally(draw(1, 2, 5, 2), Segments(5, torch.tensor([[3, 0]])))[0, 1].any()


def test_single_lengths_tell_only_who_is_there():
    segments = Segments(5, torch.tensor([[5, 2, 0]])).single()
    assert (segments.steps, segments.lengths_RB.tolist(), segments.ragged) == (1, [[1, 1, 0]], False)


def test_short_videos_count_as_padded_to_the_shortest_and_absent_ones_stay_absent():
    segments = Segments(3, torch.tensor([[3, 1, 0]])).at_least(4)
    assert (segments.steps, segments.lengths_RB.tolist()) == (4, [[4, 4, 0]])


def test_long_videos_keep_their_lengths():
    segments = Segments(9, torch.tensor([[9, 2, 5]])).at_least(4)
    assert (segments.steps, segments.lengths_RB.tolist()) == (9, [[9, 4, 5]])


def test_full_clips_shorter_than_the_shortest_are_padded_and_still_full():
    segments = Segments(3).at_least(8)
    assert (segments.steps, segments.lengths_RB) == (8, None)


def test_real_segments_are_told_from_zeros_that_count():
    segments = Segments(4, None, real_RB=torch.tensor([[4, 1]]))
    assert segments.mask_RBT() is None
    assert segments.real_mask_RBT(torch.float32).tolist() == [[[1, 1, 1, 1], [1, 0, 0, 0]]]


def test_padding_in_time_adds_zeros_at_the_end_only_where_they_are_missing():
    x = draw(1, 1, 3, 2)
    assert pad_time(x, 3) is x
    padded = pad_time(x, 5)
    assert torch.equal(padded[:, :, :3], x)
    assert not padded[:, :, 3:].any()
