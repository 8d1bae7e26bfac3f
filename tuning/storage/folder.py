"""A folder as a store: on a local disk, or on a network file system that every node mounts.

Of a file system it is taken that renaming a file within a folder is atomic, and that of several processes which make
one file with ``O_CREAT | O_EXCL`` one succeeds; both hold on NFS from version 3 on. File locks are not used.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from tuning.durable import settle
from tuning.storage.retrying import retried


class FolderStore:
    """Files below a folder, which is made with the first of them.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.uri = folder, str(folder)

    def read(self, name: str) -> bytes | None:
        """Returns a file's content, or None if there is none."""

        def ask() -> bytes | None:
            try:
                return (self.folder / name).read_bytes()
            except FileNotFoundError:
                return None

        return retried(ask)

    def write(self, name: str, content: bytes) -> None:
        """Writes a file, in the place of one of the same name; it is on the disk when this returns."""

        def fill(draft: Path) -> None:
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())

        self._place(name, fill)

    def create(self, name: str, content: bytes) -> bool:
        """Writes a file unless there is one of its name; of several that try at once, one is told that it did.

        The whole file is linked to its name, which fails where there is one.
        """
        path, draft = self.folder / name, self._draft(name)
        try:
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, path)
            except FileExistsError:
                return draft.stat().st_nlink == 2  # the answer to a link that was made may be lost, and it asked again
            settle(path.parent)
        finally:
            draft.unlink(missing_ok=True)
        return True

    def names(self, prefix: str = "") -> dict[str, str]:
        """Returns what is there by name, sorted, each with its modification time; no hidden file is."""
        base = self.folder / prefix
        top = base if prefix.endswith("/") or not prefix else base.parent
        found = {}
        for path in sorted(top.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            if name.startswith(prefix) and not path.name.startswith(".") and path.is_file():
                found[name] = str(path.stat().st_mtime_ns)
        return found

    def remove(self, *names: str) -> None:
        """Removes files; those that are not there are none."""
        for name in names:
            (self.folder / name).unlink(missing_ok=True)

    def put(self, name: str, path: Path) -> None:
        """Writes a file of this machine, of any size."""

        def fill(draft: Path) -> None:
            shutil.copyfile(path, draft)
            settle(draft)

        self._place(name, fill)

    def get(self, name: str, path: Path) -> bool:
        """Makes a file of this machine, whole or not at all; returns whether there is one of the name."""
        draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(self.folder / name, draft)
            draft.replace(path)
        except FileNotFoundError:
            return False
        finally:
            draft.unlink(missing_ok=True)
        return True

    def _place(self, name: str, fill: Callable[[Path], None]) -> None:
        """Has a draft filled and gives it its name; the file of that name stays as it was if anything fails."""

        def ask() -> None:
            draft = self._draft(name)
            try:
                fill(draft)
                draft.replace(self.folder / name)
                settle(draft.parent)
            finally:
                draft.unlink(missing_ok=True)

        retried(ask)

    def _draft(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
