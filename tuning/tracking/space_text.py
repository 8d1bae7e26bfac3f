"""The space file that a study's run carries, read back as a space."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from tuning.space import load_space
from tuning.space_model import Space

FILE = "space.yaml"


def space_of(client: Any, study_run: str) -> Space:
    """Returns the space that a study was launched with.

    Raises:
        SpaceError: If the artefact is not a space file of this version.
    """
    with tempfile.TemporaryDirectory() as folder:
        return load_space(Path(client.download_artifacts(study_run, FILE, folder)))
