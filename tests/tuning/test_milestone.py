"""What a milestone's score is: of each metric the average that the paper takes, worked by hand."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pamfn.data.bank import Bank
from pamfn.phases.replica import Replica
from pamfn.phases.report import Report
from pamfn.recipe import recipe
from tuning.milestone import Milestone, fold_scores, found, joined
from tuning.networks import Networks

NAMES = ("dog/fold0/seed0", "dog/fold1/seed0", "surfing/fold0/seed0", "surfing/fold1/seed0")
SCORES = (0.2, 0.4, 0.6, 1.0)


def reported(scores, metric: str) -> Report:
    count = len(scores)
    return Report(0.5, [2] * count, [0.1] * count, list(scores), [False] * count, [""] * count, metric)


def replicas() -> list[Replica]:
    nothing = np.zeros(0, dtype=np.int64)
    split = (name.split("/") for name in NAMES)
    return [
        Replica(
            name=name,
            task=task,
            fold=int(fold[-1]),
            seed=0,
            scores_V=np.zeros(0),
            train=nothing,
            valid=nothing,
            largest=1.0,
        )
        for name, (task, fold, _) in zip(NAMES, split, strict=True)
    ]


def test_mean_average_precisions_are_averaged_plainly() -> None:
    milestone = found(0.5, NAMES, [reported(SCORES[:1], "map"), reported(SCORES[1:], "map")])
    assert milestone.score == pytest.approx(0.55)
    assert milestone.point(2)["val_spearman"] == pytest.approx(0.55)
    assert fold_scores(milestone, replicas()) == pytest.approx({"0": 0.4, "1": 0.7})


def test_correlations_are_averaged_by_fisher() -> None:
    milestone = found(0.5, NAMES, [reported(SCORES, "spearman")])
    # atanh 0.2, 0.4, 0.6, 0.999 is 0.2027, 0.4236, 0.6931, 3.8002; tanh of their mean 1.2799 is 0.8565
    assert milestone.score == pytest.approx(0.8565, abs=5e-5)
    # tanh of (0.2027 + 0.6931) / 2, and of (0.4236 + 3.8002) / 2
    assert fold_scores(milestone, replicas()) == pytest.approx({"0": 0.4202, "1": 0.9711}, abs=5e-5)


def test_parts_of_a_trial_keep_their_metric_when_they_are_joined() -> None:
    first, rest = (found(0.5, NAMES[i::2], [reported(SCORES[i::2], "map")]) for i in (0, 1))
    whole = joined(NAMES, first, rest)
    assert list(whole.scores) == list(NAMES)
    assert whole.score == pytest.approx(0.55)


def test_reports_of_two_metrics_make_no_milestone() -> None:
    with pytest.raises(ValueError, match="metric: map, spearman: the replicas of a trial have one"):
        found(0.5, NAMES, [reported(SCORES[:2], "map"), reported(SCORES[2:], "spearman")])


def test_a_milestone_of_a_checkpoint_from_before_is_one_of_correlations() -> None:
    kept = dataclasses.asdict(found(0.5, NAMES, [reported(SCORES, "spearman")]))
    del kept["metric"]
    assert Milestone(**kept).score == pytest.approx(0.8565, abs=5e-5)


@pytest.mark.parametrize(("preset", "average"), [("highlights", 0.6), ("paper", 0.9641)])
def test_what_branches_score_alone_is_averaged_as_the_metric_is(preset: str, average: float) -> None:
    """The plain mean of 0.2 and 1 is 0.6; Fisher's is not: tanh of (0.2027 + 3.8002) / 2 is 0.9641."""
    bank = Bank({m: torch.zeros(2, 1) for m in ("rgb", "flow", "audio")}, torch.tensor([0]), torch.tensor([1]))
    networks = Networks(recipe(preset), SimpleNamespace(replicas=replicas(), bank=bank), "")
    networks.restore({}, {"audio": {NAMES[0]: 0.2, NAMES[1]: 1.0}})
    assert networks.branch_averages() == pytest.approx({"audio": average}, abs=5e-5)
