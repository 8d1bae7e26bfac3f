"""The outbox of a study whose storage is a bucket: letters that wait, put there, and brought back to an empty disk.

Letters go in parts, each under the number of its last one, and a part is removed once all of it was delivered. What a
part names on this machine is named by its place below the study's folder when it is brought back.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tuning.storage.kept import Kept

WAITING, KEPT, DIGITS = "outbox.waiting", "outbox", 12


class Shipping:
    """What waits for MLflow, where it lasts.

    Args:
        kept: What lasts of the study's files.
        folder: The study's folder.
    """

    def __init__(self, kept: Kept, folder: Path) -> None:
        self.kept, self._folder = kept, folder
        self._parts: set[int] = set()
        self._lock = threading.Lock()

    def ship(self, number: int, lines: bytes) -> None:
        """Puts letters, the last of which has this number."""
        assert self.kept.store is not None
        self.kept.store.write(_named(number), lines)
        with self._lock:
            self._parts.add(number)

    def delivered(self, letters: Sequence[dict[str, Any]]) -> None:
        """Removes what need not last any more, once these letters, the oldest, were delivered."""
        assert self.kept.store is not None
        with self._lock:
            over = {number for number in self._parts if number <= letters[-1]["n"]}
            self._parts -= over
        if over:
            self.kept.store.remove(*map(_named, sorted(over)))
        for letter in letters:
            if "file" in letter:
                self.kept.drop(KEPT, Path(letter["file"]).parent.name)

    def fetch(self, path: Path) -> None:
        """Makes the outbox's file what lasts of it, with the files that its letters bear.

        A letter about files that lie in the study's folder without lasting is left out: its writer tells it again.
        """
        assert self.kept.store is not None
        lines = []
        for name in self.kept.store.names(f"{WAITING}/"):
            self._parts.add(int(name.rpartition("/")[2]))
            for line in (self.kept.store.read(name) or b"").splitlines():
                letter = self._brought(json.loads(line))
                lines += [json.dumps(letter).encode() + b"\n"] if letter else []
        path.write_bytes(b"".join(lines))

    def _brought(self, letter: dict[str, Any]) -> dict[str, Any] | None:
        if "file" in letter:
            old = Path(letter["file"])
            folder = self._folder / KEPT / old.parent.name
            if not self.kept.fetch_folder(folder):
                return None
            new = {"file": str(folder / old.name)}
            return {**letter, **new, **({"from": str(folder)} if "from" in letter else {})}
        return None if "from" in letter else letter


def _named(number: int) -> str:
    return f"{WAITING}/{number:0{DIGITS}d}"
