"""The Ray that a study runs on: a private one on this machine, or a cluster that is there, asked what it can hold."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning.job import in_a_job
from tuning.sections import Resources
from tuning.shipping import shipped_code, staged

SETTINGS = {
    "RAY_worker_niceness": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
SILENCE = {"RAY_DEDUP_LOGS_SKIP_REGEX": "."}
"""Drops every line that Ray prints for its processes; it tells of a lost worker even with its logs turned off."""

LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Makes Ray listen on the loopback interface only, as it does on Windows and macOS; with ``_node_ip_address`` alone it
takes the machine's address all the same, and listens on every interface."""

KNOCK = 10.0  # seconds for a head node to accept a connection
TOKEN = "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to the cluster's token"


class ClusterError(RuntimeError):
    """There is no cluster to run on; the message is one line with the address and the way out."""


class NoEngine(ClusterError):  # noqa: N818  # reads as what it is
    """The cluster is there, and no engine can start on it; the message is one line that says why."""


@dataclass(frozen=True)
class Room:
    """What one engine takes, or without engines one trial, and how many fit at once.

    Args:
        cpu: Processors each.
        gpu: GPUs each.
        trials: How many of them the cluster holds at once now.
    """

    cpu: float
    gpu: float
    trials: int


@contextmanager
def ray_cluster(address: str | None, *, verbose: bool) -> Iterator[Any]:
    """Connects to the cluster at an address, or starts a private one on the loopback interface; ends what it started.

    Raises:
        ClusterError: If there is no cluster at the address.
    """
    settings = SETTINGS | ({} if verbose else SILENCE) | (LOOPBACK if address is None else {})
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    import ray

    level = logging.INFO if verbose else logging.CRITICAL  # what goes wrong with a trial is told by its own line
    quiet: dict[str, Any] = {"log_to_driver": verbose, "logging_level": level}
    try:
        if address is None:
            ray.init(address="local", include_dashboard=False, **quiet)
            _close_token()
        else:
            _connect(ray, address, quiet)
        yield ray
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str, quiet: dict[str, Any]) -> None:
    way_out = "give HOST:PORT of a running head node (`ray start --head`), or leave --address out"
    if "://" in address:
        raise ClusterError(f"--address: {address!r} is a URI; {way_out}, or submit a job with tuning.submit")
    address = os.environ.get("RAY_ADDRESS", address) if address == "auto" else address
    try:
        if address != "auto":
            _knock(address)
        with _code() as modules:
            ray.init(address=address, runtime_env={"py_modules": modules} if modules else None, **quiet)
    except ray.exceptions.AuthenticationError as error:
        said = str(error).strip().splitlines()[0]
        raise ClusterError(f"--address: {address!r} does not let us in ({said}); {TOKEN}") from error
    except (OSError, ValueError, RuntimeError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ClusterError(f"--address: no Ray cluster answers at {address!r} ({lines[0]}); {way_out}") from error


def _knock(address: str) -> None:
    """Raises at once where nothing listens; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError("no HOST:PORT")
    socket.create_connection((host, int(port)), timeout=KNOCK).close()


def _close_token() -> None:
    """Makes Ray's token unreadable for others; Ray leaves it readable for every user of the machine."""
    token = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    if token.is_file() and token.stat().st_uid == os.getuid():
        token.chmod(0o600)


@contextmanager
def _code() -> Iterator[list[str]]:
    """Returns the folders of our packages, which travel to the nodes so that all run the code of the driver.

    Inside a job they have travelled already. What Git ignores or looks like a secret stays here.
    """
    if in_a_job():
        yield []
        return
    packages = ("pamfn", "tuning")
    with staged([file for file in shipped_code(packages) if not file.withheld]) as folder:
        yield [str(folder / package) for package in packages]


def room_on(ray: Any, resources: Resources) -> tuple[Room, list[str]]:
    """Returns what an engine or a trial takes and how many fit, with the faults of what no node can ever hold."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpu = resources.gpu if resources.gpu != "auto" else float(any(node.get("GPU", 0) for node in nodes))
    held = [fits(node, resources.cpu, gpu) for node in nodes]
    faults = []
    if not any(held):
        largest = ", ".join(f"{n.get('CPU', 0):g} CPU and {n.get('GPU', 0):g} GPU" for n in nodes)
        who = "a trial" if resources.engine == "off" else "an engine"
        faults = [f"resources: {who} asks for {resources.cpu:g} CPU and {gpu:g} GPU; the nodes have {largest}"]
    if resources.precision == "bf16" and (not gpu or resources.engine == "off"):
        faults.append("resources.precision: bf16 takes an engine on a GPU; use tf32 or float32 here")
    return Room(resources.cpu, gpu, sum(held)), faults


def fits(node: dict[str, float], cpu: float, gpu: float) -> int:
    """Returns how many that take so much a node holds."""
    by_cpu = int(node.get("CPU", 0) // cpu)
    return min(by_cpu, int(node.get("GPU", 0) // gpu)) if gpu else by_cpu
