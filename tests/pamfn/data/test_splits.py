from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pamfn.data.splits import fold_assignment


@given(n=st.integers(20, 90), folds=st.integers(2, 6), seed=st.integers(0, 2**62))
def test_folds_differ_in_size_by_at_most_one(n: int, folds: int, seed: int) -> None:
    sizes = np.bincount(fold_assignment(np.arange(n), folds, seed), minlength=folds)
    assert sizes.sum() == n
    assert sizes.max() - sizes.min() <= 1


@given(n=st.integers(30, 90), groups=st.integers(8, 20), folds=st.integers(2, 4), seed=st.integers(0, 1000))
def test_a_group_is_never_split(n: int, groups: Any, folds: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = [f"g{i}" for i in rng.integers(0, groups, n)]
    if len(set(names)) < folds:
        return
    assigned = fold_assignment(np.arange(n), folds, seed, names)
    for name in set(names):
        assert len(set(assigned[np.array(names) == name])) == 1
    assert set(assigned) == set(range(folds))


def test_every_fold_has_the_scores_of_the_whole() -> None:
    scores = np.random.default_rng(0).normal(size=200)
    assigned = fold_assignment(scores, 5, seed=1)
    means = [scores[assigned == fold].mean() for fold in range(5)]
    spread_of_random_folds = scores.std() / np.sqrt(40)
    assert np.std(means) < spread_of_random_folds / 4


def test_grouped_folds_are_balanced_in_size_and_score() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(125), 20)
    scores = rng.normal(size=125)[groups] + rng.normal(size=2500)
    assigned = fold_assignment(scores, 5, seed=0, groups=[str(g) for g in groups])
    sizes = np.bincount(assigned)
    assert sizes.min() >= 460
    assert sizes.max() <= 540
    means = [scores[assigned == fold].mean() for fold in range(5)]
    assert np.ptp(means) < 0.1  # random fifths of 125 groups spread by 0.4 or more


def test_folds_depend_on_data_and_seed_alone() -> None:
    scores = np.random.default_rng(0).integers(0, 4, 60)
    np.random.seed(1)  # noqa: NPY002 - the global state must not matter
    first = fold_assignment(scores, 5, seed=7)
    np.random.seed(2)  # noqa: NPY002
    np.testing.assert_array_equal(first, fold_assignment(scores, 5, seed=7))
    assert (first != fold_assignment(scores, 5, seed=8)).any()


def test_ties_are_dealt_at_random_and_not_by_position() -> None:
    scores = np.repeat([0.0, 1.0], 50)
    assigned = fold_assignment(scores, 2, seed=0)
    assert len(set(assigned[:25])) == 2
    assert (np.bincount(assigned[:50]) == 25).all()


def test_a_video_without_a_group_is_a_group_of_its_own() -> None:
    assigned = fold_assignment(np.arange(40), 4, 0, ["a"] * 8 + [None] * 32)
    assert len(set(assigned[:8])) == 1
    assert set(assigned[8:]) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("scores", "folds", "groups", "message"),
    [
        ([1.0, 2.0, 3.0], 5, None, "folds: 3 videos cannot make 5 folds; use fewer folds"),
        (np.arange(9.0), 3, ["a", "b"] * 4 + ["a"], "folds: 2 groups cannot make 3 folds; use fewer folds"),
        (np.arange(9.0), 3, ["a"], "folds: 1 groups for 9 videos"),
        (np.arange(9.0), 1, None, "folds: 1 is below 2"),
        ([1.0, np.nan, 2.0], 2, None, "folds: scores of shape (3,) must be flat and finite"),
        (
            np.full(9, 4.0),
            3,
            None,
            "folds: the 3 videos of fold 0 all score 4, which ranks nothing; use fewer folds than 3",
        ),
    ],
)
def test_folds_that_cannot_be_cut_say_why(scores: Any, folds: int, groups: Any, message: str) -> None:
    with pytest.raises(ValueError, match="folds") as error:
        fold_assignment(scores, folds, 0, groups)
    assert str(error.value) == message
