"""What a device does, in numbers: said by an engine, told to people and to MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pamfn.recipe import ROW_SETTINGS


@dataclass(frozen=True)
class DeviceStatus:
    """One device as of now.

    Args:
        rows_busy: Rows in which a replica trains.
        rows_waiting: Replicas that wait for a row.
        rows_room: Rows that it would take on now.
        programs: Batched programs.
        steps: Steps of all programs since the start.
        replica_steps: Steps of all replicas since the start.
        seconds_busy: How long it has trained since the start.
        memory_bytes: Memory that its process holds on the device.
        memory_total: Memory that the device has.
        utilisation: Share of the time in which the device computed, 0 to 1; None where nobody says.
        device: ``cpu``, or the name of the GPU.
        started: When its process started, in seconds since the epoch; another one is another process.
        trials: Ids of the trials that it holds.
        shapes: Of each, the shape of its networks as `shape_of` says it.
        node: Ray's id of its node.
        leaving: Whether its node is being taken back by its owner.
    """

    rows_busy: int
    rows_waiting: int
    rows_room: int
    programs: int
    steps: int
    replica_steps: int
    seconds_busy: float
    memory_bytes: int
    memory_total: int
    utilisation: float | None
    device: str
    started: float
    trials: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()
    node: str = ""
    leaving: bool = False


def shape_of(config: Mapping[str, Any]) -> str:
    """Returns the values of a trial's searched settings that its networks must share to be rows of one program."""
    return " ".join(f"{name}={config[name]!r}" for name in sorted(config) if name not in ROW_SETTINGS)


@dataclass(frozen=True)
class Pace:
    """What one engine does, and how fast.

    Args:
        engine: Its number.
        status: The device as it was when it answered last.
        steps: Steps a second of late.
        replica_steps: Steps of replicas a second of late.
    """

    engine: int
    status: DeviceStatus
    steps: float
    replica_steps: float

    def metrics(self) -> dict[str, float]:
        """Returns it as MLflow's system metrics."""
        status = self.status
        numbers = {
            "rows_busy": status.rows_busy,
            "rows_waiting": status.rows_waiting,
            "steps_per_second": self.steps,
            "replica_steps_per_second": self.replica_steps,
            "memory_megabytes": status.memory_bytes / 1e6,
            "memory_percentage": 100 * status.memory_bytes / status.memory_total if status.memory_total else 0.0,
            "trials": len(status.trials),
        }
        if status.utilisation is not None:
            numbers["utilization_percentage"] = 100 * status.utilisation
        return {f"system/engine{self.engine}_{name}": float(value) for name, value in numbers.items()}

    def line(self) -> str:
        """Returns it in one line for people."""
        status = self.status
        rows = f"{status.rows_busy} rows busy" + (f", {status.rows_waiting} wait" if status.rows_waiting else "")
        speed = f"{self.steps:.3g} steps/s, {self.replica_steps:.3g} replica-steps/s"
        total = f" of {status.memory_total / 2**30:.3g}" if status.memory_total else ""
        memory = f"{status.memory_bytes / 2**30:.2g}{total} GiB"
        use = "" if status.utilisation is None else f", {status.utilisation:.0%} used"
        return f"engine {self.engine} ({status.device}): {rows}; {speed}; {memory}{use}"
