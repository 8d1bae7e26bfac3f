"""``outbox.jsonl``: what a study has to tell MLflow, on the disk until MLflow has it.

A letter is a line. The file is the queue itself: what is written is appended, what is delivered is read from where the
last delivery ended, so that memory holds a few letters however long the server is away. ``outbox.delivered`` says how
far that is; it may lag, since every letter may be delivered again and changes nothing then.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from tuning.durable import settle
from tuning.storage.kept import Kept
from tuning.tracking.shipping import Shipping

FILE = "outbox.jsonl"
MARK = "outbox.delivered"
REFUSED = "outbox.refused.jsonl"
KEPT = "outbox"  # the folder of files that are to be uploaded

LETTERS, BYTES = 4000, 4_000_000  # that are in memory at once, about
BUFFER = 1_000_000  # bytes
EMPTIED_AT = 1_000_000  # bytes of delivered letters, at which the file is begun afresh
SHIPPED_AFTER = 5.0  # seconds that letters wait on this machine alone
SETTLED_EVERY = 1.0  # seconds; one sync for all letters of a second

Letter = dict[str, Any]


class Outbox:
    """The letters of a study that MLflow does not have, oldest first.

    Letters are written by one thread and delivered by another. An urgent one is in the operating system's hands when
    `append` returns, which a kill of the process does not change; the others are a second later, and all of them on the
    disk: of what a kill takes the study's journal tells again. To write each at once would have the training wait
    for the thread that delivers, as often as there are letters.

    Args:
        folder: The study's folder.
        clock: Milliseconds since the epoch; no two letters bear the same time.
        kept: What lasts of the study's files, where that is not its folder. There the letters go that have waited for
            some seconds, and one that bears files before `append` returns; what else is lost with a machine, the
            journal tells again.

    Attributes:
        path: The file.
        pending: How many letters wait.
    """

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        kept: Kept | None = None,
    ) -> None:
        self.path, self.pending = folder / FILE, 0
        self._shipping = Shipping(kept, folder) if kept is not None and kept.store is not None else None
        if self._shipping is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._shipping.fetch(self.path)
        self._folder, self._clock, self._lock = folder, clock, threading.Lock()
        self._file: BinaryIO | None = None
        self._number, self._at = self._marked(), 0
        self._begin = self._whole = 0  # where the first letter that waits begins, and where the last one ends
        self._settled, self._unsettled = 0.0, False
        self._looked = time.monotonic()
        self._take_stock()
        self._shipped = self._whole if self._shipping is not None else 0

    def append(self, letter: Letter, *, urgent: bool = True) -> None:
        """Adds a letter, with its number as ``n`` and its time as ``at``."""
        with self._lock:
            self._number, self._at = self._number + 1, max(self._at + 1, self._clock())
            line = json.dumps({"n": self._number, "at": self._at, **letter}, default=float).encode() + b"\n"
            if self._file is None:
                self._file = self._opened()
            self._file.write(line)
            self._whole += len(line)
            self.pending += 1
            self._unsettled = True
            if urgent:
                self._file.flush()
        if "file" in letter:
            self.ship()
        if time.monotonic() - self._settled > SETTLED_EVERY:
            self.settle()

    def ship(self) -> None:
        """Has the letters that wait last also where the machine does not."""
        if self._shipping is None:
            return
        with self._lock:
            if self._file is not None:
                self._file.flush()
            first = max(self._begin, self._shipped)
            if first == self._whole:
                return
            with self.path.open("rb") as file:
                file.seek(first)
                lines = file.read(self._whole - first)
            self._shipped = self._whole
            number = self._number
        self._shipping.ship(number, lines)

    def ship_what_waits(self) -> None:
        """Does so where letters have waited for some seconds; called by whoever delivers."""
        if self._shipping is not None and self.pending and time.monotonic() - self._looked > SHIPPED_AFTER:
            self._looked = time.monotonic()
            self.ship()

    def settle(self) -> None:
        """Puts what was written on the disk."""
        if self._unsettled:
            self._settled, self._unsettled = time.monotonic(), False
            with self._lock:
                if self._file is not None:
                    self._file.flush()
            settle(self.path)

    def due(self) -> list[Letter]:
        """Returns the oldest letters that wait, as many as may be in memory at once."""
        with self._lock:
            if not self.pending:
                return []
            if self._file is not None:
                self._file.flush()
            with self.path.open("rb") as file:
                file.seek(self._begin)
                lines = file.readlines(min(BYTES, self._whole - self._begin))[: min(LETTERS, self.pending)]
        return [json.loads(line) | {"bytes": len(line)} for line in lines]

    def delivered(self, letters: list[Letter]) -> None:
        """Takes in that these, the oldest ones, need not be delivered any more."""
        with self._lock:
            self._begin += sum(letter["bytes"] for letter in letters)
            self.pending -= len(letters)
            self._mark(letters[-1]["n"])
            self._looked = time.monotonic()
            if not self.pending and self._whole > EMPTIED_AT and self._file is not None:
                self._file.truncate(0)
                self._begin = self._whole = self._shipped = 0
        for letter in letters:
            if "file" in letter:
                shutil.rmtree(Path(letter["file"]).parent, ignore_errors=True)
        if self._shipping is not None:
            self._shipping.delivered(letters)

    def refused(self, letter: Letter, why: str) -> None:
        """Puts aside a letter that MLflow does not take, for people."""
        with (self._folder / REFUSED).open("a", encoding="utf-8") as file:
            file.write(json.dumps({**letter, "why": why}) + "\n")
        if self._shipping is not None:
            self._shipping.kept.keep(self._folder / REFUSED)

    def keep(self, *paths: Path) -> str:
        """Returns another name of a file, under which it stays until a letter that bears it as ``file`` is delivered.

        Further files stay beside it for as long.

        Files of a study are written elsewhere and renamed, never changed in place: a link is as good as a copy.
        """
        folder = self._folder / KEPT / uuid.uuid4().hex
        folder.mkdir(parents=True)
        for path in paths:
            try:
                os.link(path, folder / path.name)
            except OSError:  # another file system, or one without links
                shutil.copy2(path, folder / path.name)
                settle(folder / path.name)
        if self._shipping is not None:
            self._shipping.kept.keep_folder(folder)
        return str(folder / paths[0].name)

    def close(self) -> None:
        """Removes an outbox from which everything was delivered; any other stays for the study's next launch."""
        self.settle()
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
            if not self.pending:  # the mark goes last: without it, letters would count as not delivered
                self.path.unlink(missing_ok=True)
                (self._folder / MARK).unlink(missing_ok=True)
                self._begin = self._whole = 0
                with suppress(OSError):
                    (self._folder / KEPT).rmdir()

    def _opened(self) -> BinaryIO:
        """Returns the file for appending, without a last line that a kill cut short."""
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self.path.open("ab", buffering=BUFFER)
        file.truncate(self._whole)
        settle(self._folder)
        return file

    def _marked(self) -> int:
        """Returns the number of the last letter that was delivered."""
        try:
            return int((self._folder / MARK).read_text(encoding="ascii") or 0)
        except FileNotFoundError:
            return 0

    def _mark(self, number: int) -> None:
        draft = self._folder / f".{MARK}"
        draft.write_text(str(number), encoding="ascii")
        draft.replace(self._folder / MARK)

    def _take_stock(self) -> None:
        """Finds what an earlier launch left."""
        if not self.path.exists():
            return
        marked = self._number
        with self.path.open("rb") as file:
            for line in file:
                letter = _letter(line)
                if letter is None:
                    return
                self._whole += len(line)
                if letter["n"] <= marked:
                    self._begin = self._whole
                else:
                    self.pending += 1
                self._number, self._at = max(self._number, letter["n"]), letter["at"]


def _letter(line: bytes) -> Letter | None:
    """Returns a letter; None for a line that a kill or a power failure cut short: the journal tells of it again."""
    try:
        letter: Letter = json.loads(line)
    except ValueError:
        return None
    return letter if line.endswith(b"\n") else None
