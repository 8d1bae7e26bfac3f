"""The best of many scores is corrected for its luck."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tuning.selection.luck import flattery


def study(
    seed: int, *, spread: float, trials: int = 60, replicas: int = 5
) -> tuple[list[dict[str, float]], np.ndarray]:
    """Draws trials that truly differ by ``spread``, on Fisher's scale; returns their scores and truths."""
    rng = np.random.default_rng(seed)
    folds = 0.1 * rng.standard_normal(replicas)
    truth = 0.8 + spread * rng.standard_normal(trials)
    z = truth[:, None] + folds + 0.15 * rng.standard_normal((trials, replicas))
    return [{f"fold{i}": math.tanh(value) for i, value in enumerate(mine)} for mine in z], truth + folds.mean()


def covered(spread: float, **shape: int) -> tuple[float, float, float]:
    """Returns over 200 studies how often the interval holds the best one's truth, and the two errors on average."""
    hits, raw, corrected = 0, 0.0, 0.0
    for seed in range(200):
        scores, truth = study(seed, spread=spread, **shape)
        found = flattery(scores, seed)
        best = int(np.argmax([np.arctanh(list(mine.values())).mean() for mine in scores]))
        hits += found.low <= math.tanh(truth[best]) <= found.high
        raw += found.best - math.tanh(truth[best])
        corrected += found.corrected - math.tanh(truth[best])
    return hits / 200, raw / 200, corrected / 200


def test_of_equal_configurations_the_corrected_score_covers_the_truth():
    share, raw, corrected = covered(0.0)
    assert share >= 0.90  # of 0.95; three standard errors of 200 draws are 0.046
    assert raw > 0.07
    assert abs(corrected) < 0.1 * raw


@pytest.mark.parametrize(("spread", "trials"), [(0.1, 60), (0.3, 60), (0.1, 10)])
def test_of_configurations_that_differ_it_does_as_well(spread, trials):
    share, raw, corrected = covered(spread, trials=trials)
    assert share >= 0.89
    assert abs(corrected) < max(0.15 * raw, 0.004)


def test_true_differences_are_not_taken_for_luck():
    apart, equal = (flattery(study(3, spread=spread)[0], 0) for spread in (0.5, 0.0))
    assert apart.by < 0.1 * equal.by
    assert apart.at_most > 5 * apart.by


def test_an_easy_fold_flatters_nobody():
    scores, _ = study(1, spread=0.0)
    shifted = [{**mine, "fold0": math.tanh(math.atanh(mine["fold0"]) + 0.3)} for mine in scores]
    assert flattery(shifted, 0).noise == pytest.approx(flattery(scores, 0).noise)


@pytest.mark.parametrize(
    "scores",
    [
        [],
        [{"fold0": 0.5, "fold1": 0.6}] * 2,
        [{"fold0": 0.5}] * 5,
        [{}] * 5,
        [{"fold0": 0.5, "fold1": 0.6}] * 3 + [{"fold0": 0.5}],
        [{"fold0": 0.5, "fold1": 0.6}] * 3 + [{"fold0": 0.5, "fold1": math.nan}],
    ],
)
def test_too_few_trials_or_replicas_that_differ_tell_nothing(scores):
    assert flattery(scores, 0) is None


def test_trials_without_any_difference_have_no_luck():
    found = flattery([{"fold0": 0.5, "fold1": 0.6}] * 4, 0)
    assert (found.by, found.at_most) == (pytest.approx(0, abs=1e-12), pytest.approx(0, abs=1e-12))
