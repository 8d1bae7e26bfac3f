"""Who holds a lease: a process of some machine, of which a process of the same machine can tell that it is gone."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def holder(token: str) -> dict[str, Any]:
    """Returns what a lease of this process says."""
    return {"token": token, "host": host(), "pid": os.getpid(), "started": start_time(os.getpid())}


def is_gone(writer: Mapping[str, Any]) -> bool:
    """Tells whether a writer was a process of this machine that no longer exists."""
    if writer.get("host") != host() or not isinstance(writer.get("pid"), int):
        return False
    try:
        os.kill(writer["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return start_time(writer["pid"]) != writer.get("started")


def host() -> str:
    """Returns a name of the machine, its boot and its process namespace: where a process id means the same process."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):  # Linux has these; elsewhere the name of the machine must do
        parts += [
            Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
            str(Path("/proc/self/ns/pid").readlink()),
        ]
    return "/".join(parts)


def start_time(pid: int) -> str | None:
    """Returns when a process started, in ticks since boot; ``gone`` for one that is dead but not yet reaped.

    None where the system does not say (not Linux); a process id that has been given to another process is then
    noticed only by the silence of its lease.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return "gone" if fields[0] in "ZX" else fields[19]
