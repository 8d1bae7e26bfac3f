"""A file that only grows, in a bucket: a line an object, each under the next number, and each made by one process.

Making the next number is refused where there is one: a process that lost the right to write, and does not know it yet,
is told so before it has written anything, and no line of its successor is lost. Every so many lines are put together
once more, so that whoever reads does not ask for each.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tuning.storage.opening import Store
from tuning.storage.retrying import StorageError

TOGETHER = 200  # lines
AT_ONCE = 16  # lines that are read at a time
DIGITS = 8


class TakenOver(StorageError):  # noqa: N818  # reads as what happened
    """Another process has written the line that this one was about to."""

    def __reduce__(self) -> tuple[object, ...]:
        """An error of a worker is told in the driver."""
        return TakenOver, (str(self),)


class NumberedLines:
    """The lines of a growing file.

    Args:
        store: Where they lie.
        name: What they are called.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name = store, name
        self._count = 0
        self._recent: list[bytes] = []

    def read(self) -> bytes:
        """Returns all lines, each with its end; from now on the next one is written behind them.

        Raises:
            StorageError: If one is missing between others.
        """
        together = self._numbers("together")
        blocks = [number for number in sorted(together) if number % TOGETHER == 0]
        done = len(blocks) * TOGETHER
        if blocks != [TOGETHER * (i + 1) for i in range(len(blocks))]:
            done, blocks = 0, []
        single = sorted(number for number in self._numbers("line") if number > done)
        if single != list(range(done + 1, done + 1 + len(single))):
            where = f"{self._store.uri}: {self._name}"
            raise StorageError(f"{where}: a line between {done + 1} and {single[-1]} is missing")
        names = [self._key("together", n) for n in blocks] + [self._key("line", n) for n in single]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            parts = [part or b"" for part in threads.map(self._store.read, names)]
        self._count, self._recent = done + len(single), parts[len(blocks) :]
        if len(self._recent) >= TOGETHER:
            self._put_together()
        return b"".join(parts)

    def append(self, line: bytes) -> None:
        """Writes the next line; it lasts when this returns.

        Raises:
            TakenOver: If another process has written one in its place.
        """
        if not self._store.create(self._key("line", self._count + 1), line):
            where = f"{self._store.uri}: {self._name}: line {self._count + 1}"
            raise TakenOver(f"{where} was written by another process, which goes on with this; end one of them")
        self._count += 1
        self._recent.append(line)
        if self._count % TOGETHER == 0:
            self._put_together()

    def _put_together(self) -> None:
        """Writes every full block of lines that is not yet written in one piece; it says what the lines say."""
        first = self._count - len(self._recent)
        while len(self._recent) >= TOGETHER:
            block, self._recent = self._recent[:TOGETHER], self._recent[TOGETHER:]
            first += TOGETHER
            self._store.write(self._key("together", first), b"".join(block))

    def _numbers(self, kind: str) -> list[int]:
        return [int(name.rpartition("/")[2]) for name in self._store.names(f"{self._name}/{kind}/")]

    def _key(self, kind: str, number: int) -> str:
        return f"{self._name}/{kind}/{number:0{DIGITS}d}"
