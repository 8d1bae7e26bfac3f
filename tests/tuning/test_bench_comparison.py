from __future__ import annotations

import numpy as np
import pytest

from tuning.bench.comparison import Result, comparison, difference, resampled
from tuning.bench.surrogate import Reference


def results(regret_TR: list[list[float]]) -> dict[str, list[Result]]:
    return {str(task): [Result((1.0, x), 3, 9) for x in row] for task, row in enumerate(regret_TR)}


def test_regret_is_0_at_the_best_of_the_sample_1_at_its_median_and_negative_beyond() -> None:
    scale = Reference(best=90.0, median=70.0, worst=10.0, seconds=1.0)
    assert [scale.regret(accuracy) for accuracy in (90.0, 70.0, 80.0, 92.0, 10.0)] == [0.0, 1.0, 0.5, -0.1, 4.0]


def test_two_tasks_with_one_seed_give_the_interval_from_one_to_the_other() -> None:
    """The mean of two drawn tasks is one of them a quarter of the time each, and their mean the other half."""
    means = resampled(np.array([[0.0], [1.0]]))
    assert set(means) == {0.0, 0.5, 1.0}
    assert np.mean(means == 0.5) == pytest.approx(0.5, abs=0.02)  # four standard errors of 10,000 draws
    assert difference(np.array([[1.0], [2.0]]), np.ones((2, 1))) == {"mean": 0.5, "low": 0.0, "high": 1.0}


def test_many_seeds_do_not_stand_in_for_tasks() -> None:
    found = difference(np.array([[0.0] * 100, [1.0] * 100]), np.zeros((2, 100)))
    assert (found["low"], found["high"]) == (0.0, 1.0)


def test_a_difference_that_is_the_same_everywhere_is_certain_however_much_tasks_differ() -> None:
    ours = np.array([[0.0, 0.5], [3.0, 9.0], [0.1, 0.2]])
    found = difference(ours + 0.25, ours)
    assert [found["mean"], found["low"], found["high"]] == pytest.approx([0.25] * 3)


def test_seeds_are_drawn_within_their_task() -> None:
    assert resampled(np.array([[0.0, 1.0]])).std() == pytest.approx(0.5 / np.sqrt(2), rel=0.03)


def test_figures_have_the_mean_of_the_last_share_and_the_difference_from_ours() -> None:
    figures = comparison({"ours": results([[0.1, 0.3]]), "peer": results([[0.4, 0.4]])})
    assert figures["ours"]["mean_regret"] == pytest.approx(0.2)
    assert figures["ours"]["difference"] is None
    assert figures["peer"]["difference"]["mean"] == pytest.approx(0.2)
    assert figures["peer"]["curve"] == pytest.approx([1.0, 0.4])
    assert figures["peer"]["regret"] == {"0": [0.4, 0.4]}
    assert (figures["peer"]["trials"], figures["peer"]["epochs"]) == (3, 9)


def test_without_ours_there_is_no_difference() -> None:
    assert comparison({"peer": results([[0.4]])})["peer"]["difference"] is None
