"""What a process of a trial uses of its machine, under names for MLflow's system metrics."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import torch


class Usage:
    """Processor, memory and GPU of this process since it was asked last."""

    def __init__(self) -> None:
        self._then = time.monotonic(), time.process_time()

    def of_late(self) -> dict[str, Any]:
        """Returns numbers as ``values``, and as ``at`` when that was, in milliseconds since the epoch.

        ``cpu_percentage`` is 100 for one core; what nobody says on this machine is left out.
        """
        now = time.monotonic(), time.process_time()
        wall, cpu = (new - old for new, old in zip(now, self._then, strict=True))
        self._then = now
        values = {"cpu_percentage": 100.0 * cpu / wall if wall > 0 else 0.0, **_memory(), **_gpu()}
        return {"at": time.time_ns() // 1_000_000, "values": values}


def _memory() -> dict[str, float]:
    try:
        resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:  # not Linux
        return {}
    return {"memory_megabytes": resident * os.sysconf("SC_PAGE_SIZE") / 1e6}


def _gpu() -> dict[str, float]:
    """Returns what the process holds of its GPU, and how busy that is with whatever runs on it."""
    if not torch.cuda.is_available():
        return {}
    held = {"gpu_memory_megabytes": torch.cuda.memory_reserved() / 1e6}
    try:
        return held | {"gpu_utilization_percentage": float(torch.cuda.utilization())}
    except (ModuleNotFoundError, RuntimeError):  # NVIDIA's library for Python is not installed, or finds no driver
        return held
