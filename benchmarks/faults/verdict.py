"""What a fault has cost: trials lost, runs and points doubled, work done twice, and scores that came out otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.faults.study import Event, ended

Curves = Mapping[str, Mapping[int, float]]
"""By configuration, the score at every epoch that was reported."""


@dataclass(frozen=True)
class Verdict:
    """What came of a study that was struck.

    Args:
        trials: How many it has suggested.
        lost: Trials that have not ended, or whose run in MLflow is missing, is open, or lacks a point.
        doubled: Runs beyond one a trial, and points beyond one an epoch.
        repeated: Rungs that were judged twice, and trials that went on after their end.
        difference: The largest difference of a score to that of the undisturbed study, at the same epoch of the same
            configuration.
        compared: How many scores were compared.
        why: What is wrong, for people.
    """

    trials: int
    lost: int
    doubled: int
    repeated: int
    difference: float
    compared: int
    why: tuple[str, ...] = ()


def judge(events: list[Event], tracking: Mapping[str, Any], calm: Curves) -> Verdict:
    """Returns what came of a study.

    Args:
        events: Its journal.
        tracking: What MLflow holds of it.
        calm: The undisturbed study's scores.
    """
    suggested = [event["trial"] for event in events if event["event"] == "suggested"]
    runs = [run for run in tracking["runs"] if run["kind"] == "trial"]
    by_trial = {trial: [run for run in runs if run["trial"] == trial] for trial in suggested}
    points = {trial: dict(curve) for trial, curve in _points(events).items()}
    over, why = ended(events), []
    lost = []
    for trial in suggested:
        steps = {step for run in by_trial[trial] for step, _ in run["points"]}
        missing = set(points.get(trial, {})) - steps
        closed = any(run["status"] == "FINISHED" and run["reason"] for run in by_trial[trial])
        if trial not in over or not closed or missing:
            lost.append(trial)
            told = "has not ended" if trial not in over else "has no run that ended" if not closed else ""
            why.append(f"trial {trial} {told or f'lacks the points {sorted(missing)}'}")
    more = sum(len(found) - 1 for found in by_trial.values() if found) + len(runs) - sum(map(len, by_trial.values()))
    twice = sum(n - 1 for run in runs for n in Counter(step for step, _ in run["points"]).values())
    studies = [run for run in tracking["runs"] if run["kind"] == "study"]
    more += len(studies) - 1
    why += [f"{more} runs too many"] * bool(more) + [f"{twice} points too many"] * bool(twice)
    again = repeated(events)
    why += [f"{again} reports of what was finished"] * bool(again)
    pairs = [
        (value, calm[config][epoch])
        for config, curve in curves(events).items()
        for epoch, value in curve.items()
        if epoch in calm.get(config, {})
    ]
    difference = max((abs(a - b) for a, b in pairs), default=0.0)
    return Verdict(len(suggested), len(lost), more + twice, again, difference, len(pairs), tuple(why))


def repeated(events: list[Event]) -> int:
    """Returns how often a rung was judged again, or a trial reported that had ended."""
    rungs: Counter[tuple[str, int]] = Counter()
    over: set[str] = set()
    late = 0
    for event in events:
        if event["event"] == "reported":
            late += event["trial"] in over
            if event["rung"] >= 0:
                rungs[event["trial"], event["rung"]] += 1
        over |= ended([event])
    return late + sum(count - 1 for count in rungs.values())


def curves(events: list[Event]) -> dict[str, dict[int, float]]:
    """Returns the scores of every configuration."""
    configs = {e["trial"]: str(sorted(e["config"].items())) for e in events if e["event"] == "suggested"}
    return {configs[trial]: curve for trial, curve in _points(events).items()}


def _points(events: list[Event]) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for event in events:
        if event["event"] == "reported":
            for point in event["result"].get("curve", []):
                found.setdefault(event["trial"], {})[point["epoch"]] = point["val_spearman"]
    return found
