"""Average precision is the benchmark's: worked by hand, by its own definition, and beside scikit-learn's."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import auc, average_precision_score, precision_recall_curve

from pamfn.highlights.average_precision import (
    average_precision,
    average_precisions,
    bootstrap_map,
    mean_average_precision,
)
from pamfn.highlights.labels import is_highlight

VIDEOS = st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=7)
DISTINCT = st.lists(st.booleans(), min_size=1, max_size=40)


def walked(ranked: list[bool]) -> float:
    """Returns the area under the precision-recall curve of segments in their order, walked segment by segment."""
    if not any(ranked):
        return 0.0
    area, recall, precision, hits = 0.0, 0.0, 1.0, 0
    for place, hit in enumerate(ranked, start=1):
        hits += hit
        area += (hits / sum(ranked) - recall) * (precision + hits / place) / 2
        recall, precision = hits / sum(ranked), hits / place
    return area


@pytest.mark.parametrize(
    ("predicted", "highlight", "area"),
    [
        ([0.9, 0.1, 0.5], [1, 0, 0], 1.0),  # the best is the only one
        ([0.9, 0.1, 0.5], [0, 1, 1], (0 + 1 / 2) / 2 / 2 + (1 / 2 + 2 / 3) / 2 / 2),
        ([0.9, 0.1, 0.5], [0, 1, 0], (0 + 1 / 3) / 2),
        ([4, 3, 2, 1], [1, 0, 1, 0], (1 + 1) / 2 / 2 + (1 / 2 + 2 / 3) / 2 / 2),
        ([0.3, 0.1, 0.2], [1, 1, 1], 1.0),  # all are highlights
        ([0.5, 0.5, 0.5], [1, 1, 1], 1.0),
        ([0.3, 0.1, 0.2], [0, 0, 0], 0.0),  # none is
        ([0.5], [1], 1.0),
        ([0.5], [0], 0.0),
        ([], [], 0.0),
        ([0.5, 0.5], [1, 0], (1.0 + 1 / 4) / 2),  # 1 in one order; (0 + 1 / 2) / 2 in the other
        ([0.9, 0.5, 0.5], [0, 1, 0], (1 / 4 + 1 / 6) / 2),
    ],
)
def test_hand_worked_videos(predicted: list[float], highlight: list[int], area: float) -> None:
    assert average_precision(predicted, np.array(highlight, dtype=bool)) == pytest.approx(area, abs=1e-12)


@given(VIDEOS)
def test_ties_score_the_mean_over_all_their_orders(video: list[tuple[int, bool]]) -> None:
    predicted, highlight = zip(*video, strict=True)
    downhill = [[a >= b for (a, _), (b, _) in pairwise(order)] for order in permutations(video)]
    orders = [order for order, falls in zip(permutations(video), downhill, strict=True) if all(falls)]
    expected = np.mean([walked([hit for _, hit in order]) for order in orders])
    assert average_precision(predicted, highlight) == pytest.approx(expected, abs=1e-12)


@given(VIDEOS, st.randoms(use_true_random=False))
def test_the_order_in_which_segments_are_listed_does_not_matter(video: list[tuple[int, bool]], luck) -> None:
    shuffled = list(video)
    luck.shuffle(shuffled)
    assert average_precision(*zip(*video, strict=True)) == pytest.approx(
        average_precision(*zip(*shuffled, strict=True)), abs=1e-12
    )


@given(DISTINCT, st.integers(0, 100))
def test_without_ties_it_is_the_trapezoids_under_scikit_learns_curve(highlight: list[bool], seed: int) -> None:
    predicted = np.random.default_rng(seed).permutation(len(highlight)) / len(highlight)
    if any(highlight):
        precision, recall, _ = precision_recall_curve(highlight, predicted)
        assert average_precision(predicted, highlight) == pytest.approx(auc(recall, precision), abs=1e-12)


@given(DISTINCT, st.integers(0, 100))
def test_without_ties_it_is_at_most_scikit_learns_average_precision(highlight: list[bool], seed: int) -> None:
    """Equal where every highlight ranks above every other segment, and below it elsewhere."""
    predicted = np.random.default_rng(seed).permutation(len(highlight)) / len(highlight)
    if not any(highlight):
        return
    ours, theirs = average_precision(predicted, highlight), average_precision_score(highlight, predicted)
    ranked = np.array(highlight)[np.argsort(-predicted)]
    if ranked[: ranked.sum()].all():
        assert ours == pytest.approx(theirs, abs=1e-12)
    else:
        assert ours < theirs - 1e-6


def test_ties_are_where_scikit_learn_differs_most() -> None:
    """There one threshold admits all tied segments: precision 1/4 at recall 1, whatever chance would find first."""
    predicted, highlight = [0.5] * 4, [True, False, False, False]
    assert average_precision_score(highlight, predicted) == pytest.approx(1 / 4)
    orders = [1.0, (0 + 1 / 2) / 2, (0 + 1 / 3) / 2, (0 + 1 / 4) / 2]
    assert average_precision(predicted, highlight) == pytest.approx(np.mean(orders))
    precision, recall, _ = precision_recall_curve(highlight, predicted)
    assert auc(recall, precision) == pytest.approx(5 / 8)  # the trapezoid over the tie: more than chance


def test_a_constant_prediction_scores_what_a_shuffled_one_does_on_average() -> None:
    highlight = np.arange(30) < 9
    rng = np.random.default_rng(0)
    shuffled = [average_precision(rng.permutation(30), highlight) for _ in range(4000)]
    error = np.std(shuffled) / np.sqrt(len(shuffled))
    assert average_precision(np.zeros(30), highlight) == pytest.approx(np.mean(shuffled), abs=4 * error)


def test_a_match_above_zero_is_a_highlight_and_a_borderline_one_is_not() -> None:
    assert is_highlight([-1, 0, 1, 0.25]).tolist() == [False, False, True, True]


def test_a_video_without_highlights_scores_nothing_and_counts() -> None:
    predicted, matches = [[0.9, 0.1], [0.9, 0.1, 0.2]], [[1, -1], [0, -1, -1]]
    assert average_precisions(predicted, matches).tolist() == [1.0, 0.0]
    assert mean_average_precision(predicted, matches) == 0.5


def test_a_prediction_that_is_not_finite_makes_it_nan() -> None:
    assert np.isnan(average_precision([0.1, np.nan], [True, False]))
    assert np.isnan(average_precision([0.1, np.inf], [False, False]))
    assert np.isnan(mean_average_precision([[0.2], [np.nan]], [[1], [1]]))


def test_what_cannot_be_ranked_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shapes \(2,\) and \(3,\) must be equal and flat"):
        average_precision([0.1, 0.2], [True, False, True])
    with pytest.raises(ValueError, match="no videos to average over"):
        mean_average_precision([], [])


def test_draws_of_videos_scatter_as_a_mean_does_and_are_paired() -> None:
    precisions = [np.random.default_rng(i).random((2, 40)) for i in range(3)]
    drawn = bootstrap_map(precisions, seed=1, draws=4000)
    assert drawn.mean() == pytest.approx(np.mean([p.mean() for p in precisions]), abs=0.002)
    spread = np.sqrt(sum(p.mean(0).var() / 40 for p in precisions)) / 3
    assert drawn.std() == pytest.approx(spread, rel=0.05)
    shifted = bootstrap_map([p + 0.1 for p in precisions], seed=1, draws=4000)
    np.testing.assert_allclose(shifted - drawn, 0.1)
