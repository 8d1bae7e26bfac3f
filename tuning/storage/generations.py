"""Leases on an object store: the holder of the highest generation, as long as it is heard.

A lease is an object, ``NAME/00000007``, that one process made and that says who. It lives while ``NAME/00000007.beat``
changes, which its holder alone writes, and is over with ``NAME/00000007.done``. Whoever finds the newest generation
over or silent makes the next one, which succeeds for one process, on every server that knows ``If-None-Match: *``.
A number is never used twice as long as its successor is there, so an old holder cannot come back unseen.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from tuning.storage.holders import holder, is_gone
from tuning.storage.objects import ObjectStore

BEAT, DONE, DIGITS = ".beat", ".done", 8


class ObjectLease:
    """A lease that this process holds.

    Args:
        store: Where it lies.
        name: Its name.
        generation: Which of that name it is.

    Attributes:
        generation: Greater than that of everyone who held it before.
    """

    def __init__(self, store: ObjectStore, name: str, generation: int) -> None:
        self.generation = generation
        self._store, self._name, self._beats = store, name, 0
        self._lock, self._over = threading.Lock(), False

    def renew(self) -> None:
        """Lets the holder be heard; does nothing after the release, or while the storage is away."""
        with self._lock, contextlib.suppress(OSError):  # if that is for long, the lease is taken over
            if not self._over:
                self._beats += 1
                self._store.beat(numbered(self._name, self.generation) + BEAT, str(self._beats).encode())

    def release(self) -> None:
        """Gives the lease back, and removes what is left of it and of those before."""
        with self._lock:
            if self._over:
                return
            self._over = True
            mine = numbered(self._name, self.generation)
            self._store.write(mine + DONE, b"")
            old = [n for n in self._store.names(f"{self._name}/") if _generation(self._name, n) < self.generation]
            self._store.remove(*old, mine + BEAT)


class ObjectLeases:
    """The leases of one process on an object store.

    Args:
        store: The store.
        patience: Seconds of this process's own clock without a sign of the holder after which it is taken to be dead.
        clock: Seconds that never go back.

    Attributes:
        heard: Names whose holder has given a sign of life since this process first looked.
    """

    def __init__(self, store: ObjectStore, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._patience, self._clock = store, patience, clock
        self.heard: set[str] = set()
        self._seen: dict[str, tuple[object, float]] = {}
        self._writers: dict[str, dict[str, Any]] = {}

    def claim(self, name: str) -> tuple[ObjectLease | None, bool]:
        """Returns a lease, or None while another process holds it, and whether it was taken from one that is dead."""
        there = self._store.names(f"{name}/")
        newest = max((_generation(name, n) for n in there), default=0)
        dead = False
        if newest and numbered(name, newest) + DONE not in there:
            if not self._is_dead(name, newest, there):
                return None, False
            dead = True
        mine = newest + 1
        if not self._store.create(numbered(name, mine), json.dumps(holder(uuid.uuid4().hex)).encode()):
            return None, False
        lease = ObjectLease(self._store, name, mine)
        if max(_generation(name, n) for n in self._store.names(f"{name}/")) > mine:  # what was listed is long gone
            lease.release()
            return None, False
        return lease, dead

    def holder(self, name: str) -> dict[str, Any]:
        """Returns who made the newest lease of a name; nothing if nobody has."""
        newest = max((_generation(name, n) for n in self._store.names(f"{name}/")), default=0)
        return self._writer(numbered(name, newest)) if newest else {}

    def _is_dead(self, name: str, newest: int, there: dict[str, str]) -> bool:
        key = numbered(name, newest)
        sign = (there.get(key), there.get(key + BEAT))
        if any(old != key and old.rpartition("/")[0] == name for old in self._seen) or (
            key in self._seen and self._seen[key][0] != sign
        ):
            self.heard.add(name)
        if key not in self._seen or self._seen[key][0] != sign:
            self._seen[key] = (sign, self._clock())
        silent = self._clock() - self._seen[key][1] > self._patience
        return silent or is_gone(self._writer(key))

    def _writer(self, key: str) -> dict[str, Any]:
        if key not in self._writers:
            content = self._store.read(key)
            self._writers[key] = dict(json.loads(content)) if content else {}
        return self._writers[key]


def numbered(name: str, generation: int) -> str:
    """Returns the object of a lease."""
    return f"{name}/{generation:0{DIGITS}d}"


def _generation(name: str, found: str) -> int:
    digits = found.removeprefix(f"{name}/").partition(".")[0]
    return int(digits) if digits.isdigit() else 0
