"""This machine: its processors, its memory, its GPUs and its file systems, as a forecast needs them."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

MEMINFO = Path("/proc/meminfo")
LIMIT, USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")  # of a container


@dataclass(frozen=True)
class Machine:
    """What is here.

    Args:
        cpus: Processors.
        free: Bytes of memory that are free.
        gpus: Names of the GPUs.
        gpu_free: Bytes that are free on the first of them.
    """

    cpus: int
    free: int
    gpus: tuple[str, ...] = ()
    gpu_free: int = 0

    def trials_at_once(self, cpu: float, gpu: float | str) -> int:
        """Returns how many trials Ray would run here side by side; 0 if not even one.

        Args:
            cpu: Processors a trial.
            gpu: GPUs a trial; ``auto`` is one where there is one.
        """
        gpus = float(bool(self.gpus)) if gpu == "auto" else float(gpu)
        by_cpu = int(self.cpus // cpu)
        return min(by_cpu, int(len(self.gpus) // gpus)) if gpus else by_cpu


def this_machine() -> Machine:
    """Returns what is here; nothing is taken hold of but what asking a GPU for its free memory takes."""
    free = free_bytes(torch.device("cpu"))
    if not torch.cuda.is_available():
        return Machine(os.cpu_count() or 1, free)
    names = tuple(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    return Machine(os.cpu_count() or 1, free, names, free_bytes(torch.device("cuda")))


def free_bytes(device: torch.device) -> int:
    """Returns the bytes that are free on a GPU, or in the machine's memory (in a container's, where it has a limit)."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        fields = dict(line.split(":", 1) for line in MEMINFO.read_text(encoding="ascii").splitlines())
        free = 1024 * int(fields["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):  # not Linux
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no container, or one without a limit
        free = min(free, int(LIMIT.read_text(encoding="ascii")) - int(USED.read_text(encoding="ascii")))
    return free


def standing(folder: str) -> Path:
    """Returns a folder, or the nearest one above it that is there."""
    return next(place for place in (Path(folder), *Path(folder).parents) if place.exists())


def free_disk(folder: str) -> int | None:
    """Returns the bytes that are free where a folder is or will be; None for what is no folder of this machine."""
    return None if "://" in folder else shutil.disk_usage(standing(folder)).free
