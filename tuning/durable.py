"""What has been written, on the disk: also after a power failure."""

from __future__ import annotations

import os
from pathlib import Path


def settle(path: Path) -> None:
    """Returns when a file's content, or the names in a folder, will last.

    Raises:
        OSError: If the path is not there, or cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
