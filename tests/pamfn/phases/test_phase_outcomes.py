"""Defined outcomes: constant predictions, weights that are not finite, milestones that are none."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from phase_cases import planted, replica, settings_of, training_of

from pamfn.data.bank import Bank
from pamfn.phases.report import milestone_epoch

FEATURES = planted()
BANK = Bank.of(FEATURES)
REPLICAS = [replica(FEATURES, 8), replica(FEATURES, 8, first=12, seed=2)]


def test_constant_predictions_count_as_zero_and_are_tallied() -> None:
    training = training_of("one", settings_of("one", head_lr_scale=0.0), REPLICAS, BANK)
    with torch.no_grad():
        training.network.head.score.weight[1] = 0
    (report,) = training.run([0.25])
    assert report.constant == [False, True]
    assert report.scores[1] == 0
    assert report.scores[0] != 0
    assert report.ended == ["", ""]


@pytest.mark.parametrize("score", [True, False])
def test_a_weight_that_is_not_finite_ends_its_replica_whether_or_not_it_is_scored(score: bool) -> None:
    training = training_of("one", settings_of("one"), REPLICAS, BANK)
    list(training.run([0.25], score=False))
    with torch.no_grad():
        training.network.stages[0].afm.refine.conv1.weight[-1, 0, 0, 0] = math.inf  # the last replica's last FusionNet
    (report,) = training.run([0.25], score=score)
    assert report.ended == ["", "diverged: a weight is not finite"]
    assert [math.isnan(s) for s in report.scores] == ([False, True] if score else [])


def test_a_broken_statistic_shows_in_the_score() -> None:
    training = training_of("one", settings_of("one"), REPLICAS, BANK)
    list(training.run([0.25], score=False))
    training.network.branches["rgb"].embedding.norm1.running_mean[0] = math.nan
    (report,) = training.run([0.25])
    assert report.ended == ["diverged: a predicted score is not finite", ""]


def test_nothing_is_scored_where_no_score_is_asked_for() -> None:
    training = training_of("one", settings_of("one"), REPLICAS, BANK)
    (report,) = training.run([1.0], score=False)
    assert report.scores == []
    assert all(loss > 0 for loss in report.losses)


@pytest.mark.parametrize("progress", [0.0, -0.1, 1.5, math.nan])
def test_a_milestone_outside_the_budget_is_refused(progress: float) -> None:
    training = training_of("phase1", settings_of("phase1"), REPLICAS, BANK)
    with pytest.raises(ValueError, match=r"milestones: .* is not a share of the budget in \(0, 1\]"):
        list(training.run([progress]))


def test_a_milestone_is_the_nearest_epoch_and_at_least_the_first() -> None:
    assert [milestone_epoch(p, 400) for p in (0.0001, 0.05, 0.15, 1.0)] == [1, 20, 60, 400]
    assert [milestone_epoch(p, 3) for p in (0.05, 0.5, 0.9)] == [1, 2, 3]


def test_training_learns_what_is_planted() -> None:
    features = planted(4)
    mine = [replica(features, 24, seed=s) for s in (1, 2)]
    training = training_of(
        "phase1", settings_of("phase1", width=8, phase1_epochs=30, branch_head_dropout=0.0), mine, Bank.of(features)
    )
    first, last = training.run([0.05, 1.0])
    assert np.mean(last.losses) < np.mean(first.losses)
    assert min(last.scores) > 0.6
