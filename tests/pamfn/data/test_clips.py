from __future__ import annotations

import numpy as np
import pytest

from pamfn.data.clips import crop_starts


def test_a_clip_lies_inside_its_video_and_a_short_video_starts_at_zero() -> None:
    lengths = np.array([1, 69, 70, 71, 80, 200])
    starts = np.stack([crop_starts(lengths, 70, np.random.default_rng(seed)) for seed in range(500)])
    assert (starts.min(0) == 0).all()
    assert (starts[:, :5].max(0) == [0, 0, 0, 1, 10]).all()
    assert 120 <= starts[:, 5].max() <= 130


def test_every_place_is_equally_likely() -> None:
    starts = crop_starts(np.full(8000, 79), 70, np.random.default_rng(0))
    counts = np.bincount(starts, minlength=10)
    # 10 places, 800 expected in each, standard deviation 27: five of them either way
    assert (np.abs(counts - 800) < 135).all()


def test_the_draw_of_a_video_does_not_depend_on_the_lengths_of_others() -> None:
    a = crop_starts([100, 90, 80], 70, np.random.default_rng(4))
    b = crop_starts([10, 10, 80], 70, np.random.default_rng(4))
    assert a[2] == b[2]


def test_the_shape_of_lengths_is_kept() -> None:
    assert crop_starts(np.full((2, 3), 9), 4, np.random.default_rng(0)).shape == (2, 3)


def test_a_clip_of_no_segments_is_refused() -> None:
    with pytest.raises(ValueError, match="clip: 0 is below 1 segment"):
        crop_starts([5], 0, np.random.default_rng(0))
