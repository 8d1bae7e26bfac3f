"""What a storage can do, whichever it is, and the one at a location."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from tuning.storage.folder import FolderStore
from tuning.storage.objects import ObjectStore
from tuning.storage.places import absolute, is_remote


class Store(Protocol):
    """Files by name, names with slashes; a reader sees a whole file or none. Every method tries again by itself."""

    uri: str

    def read(self, name: str) -> bytes | None:
        """Returns a file's content, or None if there is none."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Writes a file, in the place of one of the same name; it lasts when this returns."""
        ...

    def create(self, name: str, content: bytes) -> bool:
        """Writes a file unless there is one of its name; of several that try at once, one is told that it did."""
        ...

    def names(self, prefix: str = "") -> dict[str, str]:
        """Returns what is there by name, sorted, each with a sign that changes when its content does."""
        ...

    def remove(self, *names: str) -> None:
        """Removes files; those that are not there are none."""
        ...

    def put(self, name: str, path: Path) -> None:
        """Writes a file of this machine, of any size."""
        ...

    def get(self, name: str, path: Path) -> bool:
        """Makes a file of this machine, whole or not at all; returns whether there is one of the name."""
        ...


def open_store(location: str) -> Store:
    """Returns the store at a location; nothing is asked of it yet.

    Raises:
        StorageError: If what reads an object store is not installed.
    """
    return ObjectStore(location) if is_remote(location) else FolderStore(Path(absolute(location)))
