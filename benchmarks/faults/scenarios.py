"""Every fault with the study that it strikes, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.faults import blows
from benchmarks.faults.blows import Blow, Strike
from benchmarks.faults.lab import Lab
from benchmarks.faults.network import until
from benchmarks.faults.study import StudyRun, now
from benchmarks.faults.verdict import Verdict, judge

ROUNDING = 0.05
"""By how much a score of a trial on an engine may differ from the undisturbed one's: Spearman's correlation of few
videos jumps when rounding changes the order of two of them. Without engines it is nothing."""
RECOVERS = 600.0


@dataclass(frozen=True)
class Scenario:
    """A fault.

    Args:
        title: What happens, for people.
        strike: Has it happen.
        mode: ``engines``, or ``processes`` for a process a trial.
        servers: Whether the fault takes a server away, and not what trains.
        resumed: Whether the study has to be resumed.
    """

    title: str
    strike: Strike
    mode: str = "engines"
    servers: bool = False
    resumed: bool = False


@dataclass(frozen=True)
class Row:
    """What came of a fault.

    Args:
        name: Its name.
        title: What happened.
        mode: What trained.
        kills: How many were struck.
        seconds: From the blow until every trial that ran had reported again, or for a server, until it had everything.
        launches: How often the study was launched.
        status: Its last exit status.
        verdict: What it cost.
        out: What the study said.
    """

    name: str
    title: str
    mode: str
    kills: int
    seconds: float | None
    launches: int
    status: int
    verdict: Verdict
    out: str

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, doubled or done twice, and the scores are those that the protocol promises."""
        allowed = 0.0 if self.mode == "processes" else ROUNDING
        v = self.verdict
        counts = self.kills > 0 and self.status == v.lost == v.doubled == v.repeated == 0 and v.compared > 0
        return counts and v.difference <= allowed

    def plain(self) -> dict[str, Any]:
        """Returns it as plain values, without what the study said."""
        return {name: value for name, value in asdict(self).items() if name != "out"}


SCENARIOS: Mapping[str, Scenario] = {
    "trial": Scenario("a trial's process is killed", blows.kill_trial),
    "trial-alone": Scenario("a trial's process is killed", blows.kill_trial, "processes"),
    "engine": Scenario("an engine is killed", blows.kill_engine),
    "raylet": Scenario("a node's raylet is killed", blows.kill_raylet),
    "raylet-alone": Scenario("a node's raylet is killed", blows.kill_raylet, "processes"),
    "driver": Scenario("the driver is killed", blows.kill_driver, resumed=True),
    "driver-alone": Scenario("the driver is killed", blows.kill_driver, "processes", resumed=True),
    "mlflow": Scenario("the MLflow server is killed, away for 20 s", blows.kill_mlflow, servers=True),
    "postgres": Scenario("PostgreSQL is killed, away for 20 s", blows.kill_postgres, servers=True),
    "cut": Scenario("a node is cut off for 30 s", blows.cut_briefly),
    "cut-for-good": Scenario("a node is cut off for good", blows.cut_for_good),
    "cut-for-good-alone": Scenario("a node is cut off for good", blows.cut_for_good, "processes"),
    "drain": Scenario("a node is taken back with 15 s notice", blows.drain),
    "drain-alone": Scenario("a node is taken back with 15 s notice", blows.drain, "processes"),
    "head": Scenario("the head node is lost, with the driver", blows.lose_head, resumed=True),
}


def run(lab: Lab, name: str) -> Row:
    """Has a fault strike a study, and returns what came of it; the laboratory is whole afterwards."""
    scenario = SCENARIOS[name]
    calm = lab.calm(scenario.mode)
    study = lab.study(scenario.mode, name)
    try:
        study.launch()
        study.wait_for(study.running_trials, "a trial runs")
        blow = scenario.strike(lab, study)
        seconds = _recovery(study, blow, servers=scenario.servers)
        status = lab.finish(study)
        verdict = judge(study.events(), study.tracking(lab.mlflow.uri), calm)
    finally:
        with suppress(Exception):
            study.kill()
        lab.heal()
    return Row(name, scenario.title, scenario.mode, blow.kills, seconds, study.launches, status, verdict, study.out)


def _recovery(study: StudyRun, blow: Blow, *, servers: bool) -> float | None:
    """Returns the seconds from a blow until all goes on; None if the study ends before."""
    if servers:
        there = until(
            lambda: "MLflow answers again" in study.out or not study.running, RECOVERS, "MLflow answers again"
        )
        return now() - blow.at if there and study.running else None
    until(lambda: study.report_after(blow.at, set(blow.trials)) or not study.running, RECOVERS, "trials go on")
    moment = study.report_after(blow.at, set(blow.trials))
    return None if moment is None else moment - blow.at
