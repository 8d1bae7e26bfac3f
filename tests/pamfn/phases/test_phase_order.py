"""The order of videos: every epoch sees each once, in batches that a batch norm can use."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pamfn.data.bank import ABSENT
from pamfn.phases.order import Order

SIZES = st.integers(1, 40)
BATCHES = st.integers(2, 12)
SEEDS = st.integers(0, 2**63 - 1)


def order_of(videos: int, batch_size: int, seed: int, clip: int = 6) -> Order:
    lengths = np.random.default_rng(videos).integers(1, 15, videos)
    return Order(np.arange(100, 100 + videos), lengths, seed=seed, batch_size=batch_size, clip=clip)


def epoch_of(order: Order, epoch: int, room: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [order.batch(epoch * order.steps + step, room) for step in range(order.steps)]


@given(SIZES, BATCHES, SEEDS, st.integers(0, 5))
def test_every_epoch_sees_each_video_once(videos: int, batch_size: int, seed: int, epoch: int) -> None:
    order = order_of(videos, batch_size, seed)
    seen = np.concatenate([v[v != ABSENT] for v, _ in epoch_of(order, epoch, order.largest)])
    assert sorted(seen) == list(range(100, 100 + videos))


@given(SIZES, BATCHES, SEEDS)
def test_a_batch_of_one_joins_the_one_before_and_all_others_are_full_or_last(
    videos: int, batch_size: int, seed: int
) -> None:
    order = order_of(videos, batch_size, seed)
    sizes = [int((v != ABSENT).sum()) for v, _ in epoch_of(order, 0, order.largest)]
    assert sizes[:-1] == [batch_size] * (len(sizes) - 1)
    assert sizes[-1] == videos - sum(sizes[:-1])
    assert (2 <= sizes[-1] <= batch_size + 1) or videos == 1
    assert max(sizes) == order.largest


@given(SIZES, BATCHES, SEEDS, st.integers(0, 9))
def test_room_pads_with_absent_videos_and_changes_nothing_else(
    videos: int, batch_size: int, seed: int, more: int
) -> None:
    order = order_of(videos, batch_size, seed)
    for step in range(2 * order.steps):
        exact, padded = order.batch(step, order.largest), order.batch(step, order.largest + more)
        for mine, longer, filler in zip(exact, padded, (ABSENT, 0), strict=True):
            assert (longer[: len(mine)] == mine).all()
            assert (longer[len(mine) :] == filler).all()


@given(SIZES, SEEDS, st.integers(1, 12))
def test_clips_lie_within_their_videos(videos: int, seed: int, clip: int) -> None:
    order = order_of(videos, 4, seed, clip)
    lengths = np.random.default_rng(videos).integers(1, 15, videos)
    for chosen, starts in epoch_of(order, 3, order.largest):
        there = chosen != ABSENT
        assert (starts[there] >= 0).all()
        assert (starts[there] <= np.maximum(lengths[chosen[there] - 100] - clip, 0)).all()


@given(SIZES, BATCHES, SEEDS, st.integers(0, 60))
def test_a_step_is_a_function_of_seed_and_number_alone(videos: int, batch_size: int, seed: int, step: int) -> None:
    walked = order_of(videos, batch_size, seed)
    for earlier in range(step):
        walked.batch(earlier, walked.largest)
    for one, other in zip(
        walked.batch(step, walked.largest), order_of(videos, batch_size, seed).batch(step, walked.largest), strict=True
    ):
        assert (one == other).all()


def test_epochs_and_seeds_shuffle_and_crop_anew() -> None:
    first, again = (np.stack(epoch_of(order_of(40, 40, 1), e, 40)[0]) for e in (0, 1))
    other = np.stack(epoch_of(order_of(40, 40, 2), 0, 40)[0])
    for row in (0, 1):
        assert (first[row] != again[row]).any()
        assert (first[row] != other[row]).any()
