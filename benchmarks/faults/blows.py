"""The faults: each strikes a running study in a laboratory, and says what it hit and when."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.faults import cluster
from benchmarks.faults.lab import Lab
from benchmarks.faults.network import strike, until
from benchmarks.faults.study import StudyRun, now

AWAY = 20.0  # seconds for which a server, or a node's place, stays empty
CUT = 30.0  # seconds without a network
NOTICE = 15  # seconds between the notice and the end of a node that is taken back


@dataclass(frozen=True)
class Blow:
    """What was done to a study.

    Args:
        kills: Processes that were killed, nodes cut off, disks filled.
        at: When, in seconds since the epoch.
        trials: The trials that it hit.
    """

    kills: int
    at: float
    trials: frozenset[str]


Strike = Callable[[Lab, StudyRun], Blow]


def _struck(study: StudyRun, hit: Callable[[], int]) -> Blow:
    trials, at = frozenset(study.running_trials()), now()
    return Blow(hit(), at, trials)


def _struck_on_worker(lab: Lab, study: StudyRun, hit: Callable[[], int]) -> Blow:
    """Strikes as soon as a trial runs on the worker, and counts as hit those that do."""
    node = lab.cluster.node_id(lab.worker)
    trials = study.wait_for(lambda: study.running_on(node), "a trial runs on the worker")
    at = now()
    return Blow(hit(), at, frozenset(trials))


def kill_trial(lab: Lab, study: StudyRun) -> Blow:
    """Kills the process of one trial."""
    pids = study.wait_for(lambda: [*cluster.trials(lab.worker), *cluster.trials(lab.head)], "a trial has a process")
    return _struck(study, lambda: strike(pids[:1]))


def kill_engine(lab: Lab, study: StudyRun) -> Blow:
    """Kills the worker's engine."""
    return _struck_on_worker(lab, study, lambda: strike(cluster.engines(lab.worker)))


def kill_raylet(lab: Lab, study: StudyRun) -> Blow:
    """Kills the process by which the worker is a node; after a while, the machine joins again."""
    blow = _struck_on_worker(lab, study, lambda: strike(cluster.raylets(lab.worker)))
    time.sleep(AWAY)
    lab.start_worker()
    return blow


def kill_driver(lab: Lab, study: StudyRun) -> Blow:
    """Kills the driver."""
    blow = _struck(study, study.kill)
    study.launch()
    return blow


def kill_mlflow(lab: Lab, study: StudyRun) -> Blow:
    """Kills the MLflow server, and starts it again after a while."""
    blow = _struck(study, lab.mlflow.kill)
    time.sleep(AWAY)
    lab.mlflow.start()
    return blow


def kill_postgres(lab: Lab, study: StudyRun) -> Blow:
    """Kills MLflow's database, and starts it again after a while; the MLflow server lives on."""
    blow = _struck(study, lab.postgres.kill)
    time.sleep(AWAY)
    lab.postgres.start()
    return blow


def cut_briefly(lab: Lab, study: StudyRun) -> Blow:
    """Cuts the worker off from the network for half a minute: shorter than Ray takes to give it up."""
    blow = _struck_on_worker(lab, study, lambda: lab.cut() or 1)
    time.sleep(CUT)
    lab.join()
    return blow


def cut_for_good(lab: Lab, study: StudyRun) -> Blow:
    """Cuts the worker off from the network; it still reaches the storage, and goes on writing."""
    return _struck_on_worker(lab, study, lambda: lab.cut() or 1)


def drain(lab: Lab, study: StudyRun) -> Blow:
    """Takes the worker back with notice: Ray is told, and the machine goes when the notice has run out."""
    blow = _struck_on_worker(lab, study, lambda: lab.cluster.drain(lab.worker, NOTICE) or 1)
    time.sleep(NOTICE)
    lab.worker.kill()
    time.sleep(5.0)
    lab.start_worker()
    return blow


def lose_head(lab: Lab, study: StudyRun) -> Blow:
    """Takes the power from the machine of head node and driver; a new cluster is made, and the study resumed."""

    def lose() -> int:
        killed = len(lab.head.processes())
        lab.head.kill()
        study.kill()
        return killed

    blow = _struck(study, lose)
    until(lambda: not cluster.engines(lab.worker) + cluster.trials(lab.worker), 180.0, "the orphaned worker gives up")
    lab.worker.kill()
    lab.start()
    study.launch()
    return blow
