"""A folder of this machine, and what of it lasts in a bucket: single files, and folders that are there whole or not.

A folder is put under a name of its own, file by file, and is there once its marker is, ``FOLDER.whole``, which says
under which name, and of how many bytes each file must be. Whoever has fetched it knows by that name whether what lies
on the own disk is still the same. Where studies lie in a folder, that folder is it, and there is nothing to do.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from tuning.storage.opening import Store, open_store
from tuning.storage.places import is_remote
from tuning.storage.retrying import StorageError
from tuning.storage.working import working_folder

WHOLE = ".whole"
OF = ".kept"  # in a folder of this machine: under which name it lies in the bucket


class Kept:
    """What lasts of a folder.

    Args:
        location: The folder, or a URI.

    Attributes:
        folder: The folder of this machine.
        store: What lasts, where it is not that folder; else None.
    """

    def __init__(self, location: str) -> None:
        self.folder = working_folder(location)
        self.store: Store | None = open_store(location) if is_remote(location) else None

    def keep(self, *paths: Path) -> None:
        """Has files last that were written into the folder."""
        if self.store is not None:
            for path in paths:
                self.store.put(self._name(path), path)

    def fetch_files(self) -> None:
        """Makes the files that lie directly in the folder, and have lasted, what they are in the bucket."""
        if self.store is not None:
            for name in [name for name in self.store.names() if "/" not in name and not name.endswith(WHOLE)]:
                self.store.get(name, self.folder / name)

    def keep_folder(self, folder: Path, *, replace: bool = False) -> None:
        """Has a folder below last as it is.

        Args:
            folder: The folder, with what is below it.
            replace: Whether it is to last instead of one that does; else that one stays, which is as good.
        """
        if self.store is None:
            return
        name, mine = self._name(folder), uuid.uuid4().hex
        before = self._marker(name)
        if before and not replace:
            return
        files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if _is_own(path)}
        for within, path in files.items():
            self.store.put(f"{name}/{mine}/{within}", path)
        about = {"as": mine, "files": {within: path.stat().st_size for within, path in files.items()}}
        marker = json.dumps(about).encode()
        if replace:
            self.store.write(name + WHOLE, marker)
            self._remove(f"{name}/{before['as']}/" if before else "")
        elif not self.store.create(name + WHOLE, marker):
            self._remove(f"{name}/{mine}/")
            return
        (folder / OF).write_text(mine, encoding="ascii")

    def fetch_folder(self, folder: Path) -> bool:
        """Makes a folder below what has lasted of it; returns whether anything has.

        Raises:
            StorageError: If its files are not those that its marker names.
        """
        if self.store is None:
            return folder.exists()
        name = self._name(folder)
        marker = self._marker(name)
        if not marker:
            return False
        if _read(folder / OF) == marker["as"]:
            return True
        draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
        try:
            draft.mkdir(parents=True)
            for within, size in marker["files"].items():
                there = self.store.get(f"{name}/{marker['as']}/{within}", draft / within)
                if not there or (draft / within).stat().st_size != size:
                    raise StorageError(f"{self.store.uri}: {name}/{within} is not what {name}{WHOLE} says")
            (draft / OF).write_text(marker["as"], encoding="ascii")
            shutil.rmtree(folder, ignore_errors=True)
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return True

    def is_kept(self, folder: Path) -> bool:
        """Tells whether a folder below has lasted in the bucket."""
        return bool(self._marker(self._name(folder)))

    def folders(self, *below: str) -> list[str]:
        """Returns the folders that have lasted, by their names from here on."""
        if self.store is None:
            return []
        names = self.store.names("/".join([*below, ""]))
        return [name.removesuffix(WHOLE) for name in names if name.endswith(WHOLE)]

    def drop(self, *below: str) -> None:
        """Removes from the bucket all that lies below a name, markers first: half a folder is never taken for one."""
        self._remove("/".join([*below, ""]), marker="/".join(below) + WHOLE)

    def _remove(self, prefix: str, marker: str | None = None) -> None:
        if self.store is None or not prefix:
            return
        names = [*([marker] if marker else []), *self.store.names(prefix)]
        for some in ([n for n in names if n.endswith(WHOLE)], [n for n in names if not n.endswith(WHOLE)]):
            if some:
                self.store.remove(*some)

    def _marker(self, name: str) -> dict[str, Any]:
        content = self.store.read(name + WHOLE) if self.store is not None else None
        return dict(json.loads(content)) if content else {}

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


@lru_cache(maxsize=64)
def kept_at(location: str) -> Kept:
    """Returns what lasts at a location; one for the process, since its connections are."""
    return Kept(location)


def clear_working(folder: Path, stays: Iterable[str]) -> None:
    """Empties a folder of this machine but for folders below that know themselves whether they are what has lasted."""
    keep = set(stays)
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name in keep:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _is_own(path: Path) -> bool:
    return path.is_file() and path.name != OF


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None
