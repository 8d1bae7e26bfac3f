"""A Ray cluster on the machines of a network, started by ``ray start`` as a person would, with Ray's token on."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from benchmarks.faults.network import Machine

RAY = [sys.executable, "-m", "ray.scripts.scripts"]
PORT = 6379
STARTED = 180.0  # seconds for a node to start on a busy machine
STORE = 100_000_000  # bytes of a node's object store


class RayCluster:
    """A head node and its workers.

    Args:
        head: The machine of the head node.
        dashboard: Whether the head has a dashboard, which ``ray job submit`` talks to.
    """

    def __init__(self, head: Machine, *, dashboard: bool = False) -> None:
        self.head, self.address, self._dashboard = head, f"{head.address}:{PORT}", dashboard

    def start_head(self, cpus: int) -> None:
        """Starts the head node, and waits until it is there."""
        where = ["--head", f"--port={PORT}", f"--include-dashboard={self._dashboard}"]
        if self._dashboard:
            where += [f"--dashboard-host={self.head.address}", "--dashboard-port=8265"]
        self._start(self.head, cpus, where, {})

    def start_worker(self, machine: Machine, cpus: int, environment: Mapping[str, str]) -> None:
        """Has a machine join, and waits until it has.

        Args:
            machine: The machine.
            cpus: How many processors it has for Ray.
            environment: Further variables of all that runs there.
        """
        self._start(machine, cpus, [f"--address={self.address}", f"--temp-dir={machine.temporary}/ray"], environment)

    def node_id(self, machine: Machine) -> str:
        """Returns Ray's id of the node that a machine is."""
        (command,) = machine.processes("raylet").values()
        return next(word.partition("=")[2] for word in command.split() if word.startswith("--node_id="))

    def drain(self, machine: Machine, seconds: int) -> None:
        """Tells Ray that a machine will be taken away, as a provider of spot machines does some time before."""
        reason = ["--reason=DRAIN_NODE_REASON_PREEMPTION", "--reason-message=taken back by its owner"]
        words = ["drain-node", f"--address={self.address}", f"--node-id={self.node_id(machine)}", *reason]
        self.head.run([*RAY, *words, f"--deadline-remaining-seconds={seconds}"], STARTED)

    def _start(self, machine: Machine, cpus: int, where: list[str], environment: Mapping[str, str]) -> None:
        words = ["start", *where, f"--node-ip-address={machine.address}", f"--num-cpus={cpus}"]
        machine.run([*RAY, *words, f"--object-store-memory={STORE}", "--disable-usage-stats"], STARTED, **environment)


def raylets(machine: Machine) -> list[int]:
    """Returns the process by which a machine is a node of Ray."""
    return list(machine.processes("raylet"))


def engines(machine: Machine) -> list[int]:
    """Returns the processes on a machine that hold a device."""
    return list(machine.processes("ray::Engine"))


def trials(machine: Machine) -> list[int]:
    """Returns the processes on a machine that trials have to themselves."""
    return list(machine.processes("ray::_Inner"))
