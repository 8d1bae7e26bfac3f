"""What counts as lost, doubled and repeated."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from benchmarks.faults.verdict import curves, judge


def reported(trial: str, rung: int, epoch: int, verdict: str) -> dict[str, Any]:
    point = {"epoch": epoch, "val_spearman": epoch / 10}
    result = {"curve": [point], "train_seconds": 1.0}
    return {"event": "reported", "trial": trial, "rung": rung, "verdict": verdict, "result": result, "time": epoch}


EVENTS = [
    {"event": "suggested", "trial": "0000", "config": {"lr": 0.1}},
    {"event": "suggested", "trial": "0001", "config": {"lr": 0.2}},
    reported("0000", 0, 1, "goes on"),
    reported("0001", 0, 1, "ends"),
    reported("0000", 1, 2, "ends"),
]


def run(trial: str | None, points: list[list[float]], kind: str = "trial", status: str = "FINISHED") -> dict[str, Any]:
    return {"kind": kind, "trial": trial, "status": status, "reason": "finished", "points": points}


RUNS = [run(None, [], "study"), run("0000", [[1, 0.1], [2, 0.2]]), run("0001", [[1, 0.1]])]
CALM = curves(EVENTS)


def test_a_whole_study_has_lost_doubled_and_repeated_nothing():
    verdict = judge(EVENTS, {"runs": RUNS}, CALM)
    assert (verdict.trials, verdict.lost, verdict.doubled, verdict.repeated) == (2, 0, 0, 0)
    assert (verdict.difference, verdict.compared, verdict.why) == (0.0, 3, ())


@pytest.mark.parametrize(
    ("runs", "why"),
    [
        (RUNS[:2], "trial 0001 has no run that ended"),
        ([*RUNS[:2], run("0001", [[1, 0.1]], status="RUNNING")], "trial 0001 has no run that ended"),
        ([RUNS[0], run("0000", [[1, 0.1]]), RUNS[2]], "trial 0000 lacks the points [2]"),
    ],
)
def test_what_mlflow_does_not_have_is_lost(runs, why):
    verdict = judge(EVENTS, {"runs": runs}, CALM)
    assert (verdict.lost, verdict.doubled) == (1, 0)
    assert verdict.why == (why,)


@pytest.mark.parametrize(
    "runs",
    [
        [*RUNS, run("0001", [[1, 0.1]])],
        [*RUNS, run("0007", [])],
        [*RUNS, run(None, [], "study")],
        [RUNS[0], run("0000", [[1, 0.1], [2, 0.2], [2, 0.2]]), RUNS[2]],
    ],
)
def test_what_is_there_twice_is_counted(runs):
    verdict = judge(EVENTS, {"runs": runs}, CALM)
    assert (verdict.lost, verdict.doubled) == (0, 1)
    assert verdict.why


def test_a_trial_that_has_not_ended_is_lost():
    verdict = judge(EVENTS[:-1], {"runs": RUNS}, CALM)
    assert verdict.lost == 1
    assert verdict.why == ("trial 0000 has not ended",)


def test_a_rung_that_is_judged_twice_and_a_report_after_the_end_are_repeated():
    assert judge([*EVENTS[:3], EVENTS[2], *EVENTS[3:]], {"runs": RUNS}, CALM).repeated == 1
    assert judge([*EVENTS, reported("0001", -1, 1, "goes on")], {"runs": RUNS}, CALM).repeated == 1


def test_scores_are_compared_by_configuration_and_epoch():
    other = copy.deepcopy(CALM)
    (config,) = [config for config in other if "0.2" in config]
    other[config][1] += 0.25
    verdict = judge(EVENTS, {"runs": RUNS}, other)
    assert verdict.difference == pytest.approx(0.25)
    assert judge(EVENTS, {"runs": RUNS}, {}).compared == 0
