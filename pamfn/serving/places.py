"""Which shards a request may name: those below the folders and URIs that whoever serves the model has allowed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pamfn.credentials import redacted

ALLOWED = "PAMFN_SERVING_DATA"  # the environment variable


@dataclass(frozen=True)
class Places:
    """Where shards may be read.

    Args:
        folders: Absolute folders; everything below them, links followed, may be read.
        uris: Beginnings of URIs.
    """

    folders: tuple[Path, ...]
    uris: tuple[str, ...] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Places:
        """Returns what ``PAMFN_SERVING_DATA`` lists, parted by commas; without it the working directory."""
        listed = [word.strip() for word in environment.get(ALLOWED, os.curdir).split(",") if word.strip()]
        folders = tuple(Path(word).expanduser().resolve() for word in listed if "://" not in word)
        return cls(folders, tuple(word.rstrip("/") for word in listed if "://" in word))

    def find(self, location: str) -> str:
        """Returns a location that may be read, absolute.

        Raises:
            ValueError: If it may not; the message says how to allow it.
        """
        if "://" in location:
            parts = location.split("://", 1)[1].split("/")
            if ".." not in parts and any(location == uri or location.startswith(f"{uri}/") for uri in self.uris):
                return location
        elif "\0" not in location:
            path = _resolved(location)
            if path is not None and any(path == folder or folder in path.parents for folder in self.folders):
                return str(path)
        allowed = ", ".join([*map(str, self.folders), *map(redacted, self.uris)]) or "none"
        raise ValueError(
            f"given {redacted(location)!r}, which this server does not read; wanted a folder of shards below {allowed} "
            f"(allowed by {ALLOWED} where it was started)"
        )


def _resolved(location: str) -> Path | None:
    """Returns a path with its links followed; None if they lead nowhere."""
    try:
        return Path(location).resolve()
    except (OSError, RuntimeError):
        return None
