"""The Ray that a study runs on: a private one on this machine, or a cluster that is there, asked what it can hold."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning.sections import Resources

QUIET = {
    "RAY_worker_niceness": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1",  # a snapshot may be no older than the checkpoints it names
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
}


@dataclass(frozen=True)
class Room:
    """What one trial takes, and how many fit at once.

    Args:
        cpu: Processors a trial.
        gpu: GPUs a trial.
        trials: Trials that the cluster holds at once now.
    """

    cpu: float
    gpu: float
    trials: int


@contextmanager
def ray_cluster(address: str | None, *, verbose: bool) -> Iterator[Any]:
    """Connects to the cluster at an address, or starts a private one on the loopback interface; ends what it started.

    Raises:
        ConnectionError: If there is no cluster at the address.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    quiet: dict[str, Any] = {"log_to_driver": verbose, "logging_level": "info" if verbose else "error"}
    if address is None:
        ray.init(address="local", include_dashboard=False, _node_ip_address="127.0.0.1", **quiet)
    else:
        ray.init(address=address, runtime_env={"py_modules": _code()}, **quiet)
    try:
        yield ray
    finally:
        ray.shutdown()


def _code() -> list[str]:
    """Returns the folders of our packages, which travel to the nodes so that all run the code of the driver."""
    import pamfn
    import tuning

    return [str(Path(str(package.__file__)).parent) for package in (pamfn, tuning)]


def room_on(ray: Any, resources: Resources) -> tuple[Room, list[str]]:
    """Returns what a trial takes and how many fit, with the faults of a request that no node can ever hold."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpu = resources.gpu if resources.gpu != "auto" else float(any(node.get("GPU", 0) for node in nodes))
    fits = [_fits(node, resources.cpu, gpu) for node in nodes]
    faults = []
    if not any(fits):
        largest = ", ".join(f"{n.get('CPU', 0):g} CPU and {n.get('GPU', 0):g} GPU" for n in nodes)
        faults = [f"resources: a trial asks for {resources.cpu:g} CPU and {gpu:g} GPU; the nodes have {largest}"]
    return Room(resources.cpu, gpu, sum(fits)), faults


def _fits(node: dict[str, float], cpu: float, gpu: float) -> int:
    by_cpu = int(node.get("CPU", 0) // cpu)
    return min(by_cpu, int(node.get("GPU", 0) // gpu)) if gpu else by_cpu
