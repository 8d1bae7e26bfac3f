"""Leases: at most one process trains an artefact at a time, whatever becomes of that process.

A lease is a file beside the artefact, created so that only one process can succeed (``O_CREAT | O_EXCL``), which also
holds on NFS. It says who wrote it, and its modification time is renewed while its writer lives. Leases save work; they
do not guard correctness: artefacts are written atomically and are the same whoever trains them.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from tuning.storage.holders import holder, is_gone


class Held(Protocol):
    """A lease that this process holds."""

    def renew(self) -> None:
        """Lets it be known that the holder lives; raises nothing."""
        ...

    def release(self) -> None:
        """Gives it back."""
        ...


class Leases(Protocol):
    """Where leases are claimed: in a folder, or on an object store."""

    def claim(self, name: str) -> tuple[Held | None, bool]:
        """Returns a lease, or None while another process holds it, and whether it was taken from one that is dead."""
        ...


class Lease:
    """A lease that this process holds, open for renewal.

    Args:
        path: The lease file.
        token: What tells this lease from one that another process writes at the same path later.
        descriptor: Open file descriptor; renewing goes through it, so that it never renews someone else's lease.
    """

    def __init__(self, path: Path, token: str, descriptor: int) -> None:
        self.path, self.token = path, token
        self._descriptor: int | None = descriptor
        self._lock = threading.Lock()

    def renew(self) -> None:
        """Sets the modification time to now, by the clock of the file system; does nothing after the release."""
        with self._lock, contextlib.suppress(OSError):  # if the folder is away for long, the lease is taken over
            if self._descriptor is not None:
                os.utime(self._descriptor)

    def release(self) -> None:
        """Removes the lease, unless another process has taken it over."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._descriptor = None
        if _read(self.path).get("token") == self.token:
            self.path.unlink(missing_ok=True)


def acquire(path: Path) -> Lease | None:
    """Returns a new lease, or None if there is one already."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return None
    lease = Lease(path, uuid.uuid4().hex, descriptor)
    try:
        os.write(descriptor, json.dumps(holder(lease.token)).encode())
        os.fsync(descriptor)
    except OSError:
        lease.release()
        path.unlink(missing_ok=True)
        raise
    return lease


@contextlib.contextmanager
def renewed(leases: dict[str, Held], every: float) -> Iterator[None]:
    """Renews leases from a thread until the block is left, and then releases those that are still in the mapping.

    Args:
        leases: Leases by key; the block may take out those that it has released itself.
        every: Seconds between renewals.
    """
    left = threading.Event()

    def beat() -> None:
        while not left.wait(every):
            for lease in list(leases.values()):
                lease.renew()

    thread = threading.Thread(target=beat, name="lease-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
        thread.join()
        while leases:
            leases.popitem()[1].release()


class FolderLeases:
    """The leases of one process in a folder.

    Args:
        folder: The folder.
        patience: See `Watch`.
    """

    def __init__(self, folder: Path, patience: float) -> None:
        self._folder, self._watch = folder, Watch(patience)

    def claim(self, name: str) -> tuple[Held | None, bool]:
        """Returns a lease, or None while another process holds it, and whether it was taken from one that is dead."""
        path = self._folder / name
        lease = acquire(path)
        if lease is None and self._watch.clear_if_dead(path):
            return acquire(path), True
        return lease, False


class Watch:
    """Watches the leases of other processes, and takes away those whose writer is dead.

    A writer on this machine is dead when its process is gone. Any other is taken to be dead when its lease has not been
    renewed for ``patience`` seconds of this process's own clock, so that clocks of machines need not agree.

    Args:
        patience: Seconds; well above the interval of renewal and above the attribute cache of a network file system.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._seen: dict[Path, tuple[Any, float]] = {}

    def clear_if_dead(self, path: Path) -> bool:
        """Removes a lease whose writer is dead; returns whether it did."""
        writer, renewed_at = _read(path), _modified(path)
        if renewed_at is None:
            self._seen.pop(path, None)
            return False
        sign = (writer.get("token"), renewed_at)
        if path not in self._seen or self._seen[path][0] != sign:
            self._seen[path] = (sign, time.monotonic())
        silent = time.monotonic() - self._seen[path][1] > self._patience
        return (silent or is_gone(writer)) and _take_away(path, writer.get("token"))


def _take_away(path: Path, token: str | None) -> bool:
    """Removes the lease with this token; of several that try, one succeeds.

    Between the judgement and the renaming another process may have taken the dead lease away and written its own; that
    one is put back.
    """
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return False
    dead = _read(aside).get("token") == token
    if not dead:
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)
    aside.unlink()
    return dead


def _read(path: Path) -> dict[str, Any]:
    """Returns who wrote a lease; nothing if it is gone, or if its writer has not got to writing."""
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _modified(path: Path) -> int | None:
    """Returns when a lease was renewed; opening it makes a network file system look again."""
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_mtime_ns
    except FileNotFoundError:
        return None
