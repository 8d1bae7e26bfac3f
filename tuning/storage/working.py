"""Where this machine works on what lies in a bucket: a folder for each place of one, which may be lost at any time."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from tuning.storage.places import absolute, is_remote

VARIABLE = "TUNING_WORK"


def working_folder(location: str) -> Path:
    """Returns the folder of this machine for a location; that itself where it is a folder.

    It lies under ``TUNING_WORK``, else under ``~/.cache/pamfn-tuning``, by name and by a digest of the location.
    """
    if not is_remote(location):
        return Path(absolute(location))
    base = os.environ.get(VARIABLE) or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "pamfn-tuning")
    place = location.partition("?")[0].rstrip("/")
    return Path(base, f"{hashlib.sha256(location.encode()).hexdigest()[:12]}-{place.rpartition('/')[2]}")
