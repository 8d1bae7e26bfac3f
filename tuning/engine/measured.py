"""What a device says of itself: its name, its memory, and how much of the time it computed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import torch

from pamfn.phases.memory import GPU_SHARE

WINDOW = 2.0  # seconds; over less than that, the share of busy time says nothing


def device_name(device: torch.device) -> str:
    """Returns ``cpu``, or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def memory_of(device: torch.device) -> tuple[int, int]:
    """Returns the bytes that this process holds on a device, and those that the device has; 0 where nobody says."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved(device), torch.cuda.get_device_properties(device).total_memory
    page = os.sysconf("SC_PAGE_SIZE")
    try:
        resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * page
    except OSError:  # not Linux
        resident = 0
    return resident, os.sysconf("SC_PHYS_PAGES") * page


class StepMemory:
    """How much memory of a GPU a step takes beside what its program holds; nobody can tell on a CPU.

    Args:
        device: The device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.bytes = 0

    def __enter__(self) -> StepMemory:
        """Begins to watch."""
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            self._before = torch.cuda.memory_allocated(self._device)
        return self

    def __exit__(self, *_: object) -> None:
        """Ends; ``bytes`` is the peak beyond what there was."""
        if self._device.type == "cuda":
            self.bytes = torch.cuda.max_memory_allocated(self._device) - self._before


def rows_that_fit(rows: int, *, step_bytes: int, row_bytes: int, free: int) -> int:
    """Returns how many rows a program can have, at least one.

    Args:
        rows: Rows that it has now.
        step_bytes: What a step of these took, beside what the program holds.
        row_bytes: What it holds for one.
        free: What is free on the device between two steps, of which a share is to be left.
    """
    each = step_bytes / rows
    return max(1, rows + int((free * GPU_SHARE - step_bytes) // (each + row_bytes)))


class Utilisation:
    """The share of the time in which a device's loop was in a step.

    On CUDA a step that is launched in advance counts as long as the loop waits for it.

    Args:
        device: The device.
        busy: Seconds in steps since the start.
        clock: Seconds that never go back.
    """

    def __init__(
        self, device: torch.device, busy: Callable[[], float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._busy, self._clock = busy, clock
        self._since, self._then, self._share = clock(), busy(), None

    _share: float | None

    def of_late(self) -> float | None:
        """Returns the share since it was asked last, over two seconds at least; None before there were any."""
        now, busy = self._clock(), self._busy()
        if now - self._since >= WINDOW:
            self._share = min(1.0, max(0.0, (busy - self._then) / (now - self._since)))
            self._since, self._then = now, busy
        return self._share
