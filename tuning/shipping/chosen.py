"""The files that travel, chosen one by one, and copied into a folder that holds nothing else."""

from __future__ import annotations

import hashlib
import importlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tuning.shipping.patterns import why_withheld

PACKAGES = ("pamfn", "tuning", "search_spaces")
LARGEST = 20 * 10**6  # bytes; the code takes a tenth of it
NAMED = 5  # of the largest files


class ShippingError(ValueError):
    """What would be shipped is too much to be code; the message is one line with the largest files."""


@dataclass(frozen=True)
class Shipped:
    """A file, and where it will lie.

    Args:
        path: The file here.
        name: Its path on the cluster, below the folder in which a study is started.
        withheld: Why it does not travel; empty if it does.
        size: Its bytes.
    """

    path: Path
    name: str
    withheld: str
    size: int


def shipped_code(packages: Sequence[str] = PACKAGES) -> list[Shipped]:
    """Returns every file of our packages, those that do not travel among them."""
    return [file for package in packages for file in _files_of(package, _folder_of(package))]


def files_below(folder: Path) -> list[Shipped]:
    """Returns every file below a folder as if it were a package of that name."""
    return list(_files_of(folder.name, folder))


def checked(files: Sequence[Shipped], largest: int = LARGEST) -> list[Shipped]:
    """Returns the files that travel.

    Raises:
        ShippingError: If they are more than a study's code.
    """
    going = [file for file in files if not file.withheld]
    total = sum(file.size for file in going)
    if total > largest:
        top = sorted(going, key=lambda file: -file.size)[:NAMED]
        named = ", ".join(f"{file.name} ({in_megabytes(file.size)})" for file in top)
        raise ShippingError(
            f"the code to be shipped has {in_megabytes(total)}, and at most {in_megabytes(largest)} travel; the "
            f"largest files: {named}; move them out of the packages, or name them in .gitignore"
        )
    return going


def listing(files: Sequence[Shipped], largest: int = LARGEST) -> str:
    """Returns what would be shipped, a line a file, and what would not, for people."""
    going, staying = [f for f in files if not f.withheld], [f for f in files if f.withheld and f.withheld != "no code"]
    lines = [f"{file.size:>9,}  {file.name}" for file in going]
    total = sum(file.size for file in going)
    lines.append(f"{total:>9,}  bytes in {len(going)} files; at most {largest:,} are shipped")
    lines += [f" stays here: {file.name} ({file.withheld})" for file in staying]
    return "\n".join(lines) + "\n"


@contextmanager
def staged(files: Sequence[Shipped], beside: Mapping[str, bytes] | None = None) -> Iterator[Path]:
    """Copies files into a folder of their own, for as long as the block lasts.

    Args:
        files: What travels; see `checked`.
        beside: Contents of further files, by name.
    """
    with TemporaryDirectory(prefix="shipped-") as folder:
        for file in files:
            target = Path(folder, file.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file.path, target)
        for name, content in (beside or {}).items():
            Path(folder, name).write_bytes(content)
        yield Path(folder)


def code_digest(packages: Sequence[str] = PACKAGES[:2]) -> str:
    """Returns a digest of the code of packages as this process imports them: names and contents."""
    digest = hashlib.sha256()
    for file in sorted(shipped_code(packages), key=lambda file: file.name):
        if not file.withheld and file.path.suffix == ".py":
            digest.update(f"{file.name}\0{file.size}\0".encode() + file.path.read_bytes())
    return digest.hexdigest()


def in_megabytes(size: int) -> str:
    """Returns a number of bytes for reading."""
    return f"{size / 10**6:.1f} MB"


def _folder_of(package: str) -> Path:
    return Path(str(importlib.import_module(package).__file__)).resolve().parent


def _files_of(package: str, folder: Path) -> Iterator[Shipped]:
    for path in sorted(folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        name = f"{package}/{path.relative_to(folder).as_posix()}"
        withheld = why_withheld(path, folder)
        yield Shipped(path, name, withheld, 0 if path.is_symlink() else path.stat().st_size)
