"""What a study is judged by: its average, its scale and its names, worked by hand."""

from __future__ import annotations

import math

import pytest

from pamfn.metrics import AVERAGES
from tuning.score_metric import MAP, METRICS, SPEARMAN, metric_of
from tuning.space_model import Space
from tuning.tracking.names import score_metrics
from tuning.tracking.points import point_metrics


def test_precisions_are_averaged_as_they_are_and_correlations_by_fisher() -> None:
    assert MAP.average([0.2, 0.5, 0.8]) == pytest.approx(0.5)
    # atanh 0.2, 0.5, 0.8 is 0.2027, 0.5493, 1.0986; tanh of their mean 0.6169 is 0.5490
    assert SPEARMAN.average([0.2, 0.5, 0.8]) == pytest.approx(0.5490, abs=5e-5)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_the_mean_on_its_scale_is_its_average(metric) -> None:
    scores = [0.1, 0.4, 0.95]
    assert float(metric.unscaled(metric.scaled(scores).mean())) == pytest.approx(metric.average(scores))
    assert metric.fisher == (AVERAGES[metric.name]([0.0, 0.9]) != pytest.approx(0.45))


def test_a_perfect_precision_stays_one_and_a_perfect_correlation_does_not_rule() -> None:
    assert MAP.average([1.0, 0.0]) == 0.5
    assert MAP.scaled([1.0]).tolist() == [1.0]
    assert SPEARMAN.scaled([1.0])[0] == pytest.approx(math.atanh(0.999))


def test_names_of_scores_are_what_they_were_and_those_of_highlights_say_map() -> None:
    def told(metric):
        return [metric.held_out, metric.best, metric.first_folds, metric.branch, metric.test]

    assert told(SPEARMAN) == [
        *("val_spearman", "best_val_spearman", "first_folds_spearman", "branch_spearman.", "final_test_spearman"),
    ]
    assert told(MAP) == ["val_map", "best_val_map", "first_folds_map", "branch_map.", "final_test_map"]


def test_the_name_of_a_fold_s_score_tells_task_and_fold() -> None:
    names = {name for found in score_metrics(["a.b/fold0/seed0", "c/fold1/seed0"], MAP).values() for name in found}
    assert names == {"val_map/a.b", "val_map/a.b/fold0", "val_map/c", "val_map/c/fold1"}
    folds = {name: found.group("task", "fold") for name in names if (found := MAP.fold_in(name))}
    assert folds == {"val_map/a.b/fold0": ("a.b", "0"), "val_map/c/fold1": ("c", "1")}
    (alone,) = score_metrics(["a/fold3/seed0"], MAP)["a/fold3/seed0"]
    assert MAP.fold_in(alone).group("task", "fold") == (None, "3")
    assert SPEARMAN.fold_in(alone) is None


def test_a_point_of_highlights_has_plain_means() -> None:
    scores = {
        f"{task}/fold{fold}/seed0": 0.2 * task_at + 0.4 * fold
        for task_at, task in enumerate("ab", 1)
        for fold in (0, 1)
    }
    found = point_metrics({"val_spearman": 0.5, "scores": scores}, MAP)
    expected = {"val_map": 0.5, "val_map/a": 0.4, "val_map/b": 0.6, "val_map/a/fold1": 0.6, "val_map/b/fold0": 0.4}
    assert {name: found[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("space", "metric"),
    [
        (Space(), SPEARMAN),
        (Space(preset="released"), SPEARMAN),
        (Space(preset="highlights"), MAP),
        (Space(fixed={"task": "highlights"}), MAP),
        (Space(preset="highlights", fixed={"task": "score"}), SPEARMAN),
    ],
)
def test_a_space_says_what_its_networks_are_judged_by(space, metric) -> None:
    assert metric_of(space) == metric
