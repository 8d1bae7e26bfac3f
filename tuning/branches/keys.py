"""The name of a branch artefact: everything that its training depends on, and nothing else."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

FORMAT = 1  # of the artefacts; a new one makes new names, so that an old artefact is never read as a new one


def branch_key(**settings: Any) -> str:
    """Returns the content key of a branch: 64 hexadecimal digits, equal for equal settings on every machine.

    Args:
        settings: Everything the training depends on: modality, stages, width, the phase-1 settings, data digest, class,
            fold, seed. Numbers are compared by value (``2`` and ``2.0`` are one setting), lists equal tuples.

    Raises:
        ValueError: If a value is not plain data (numbers, strings, booleans, None, lists, mappings), or not finite.
    """
    plain = {name: _plain(name, value) for name, value in settings.items()}
    text = json.dumps({"format": FORMAT, "settings": plain}, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(name, item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(f"{name}.{key}", item) for key, item in value.items()}
    if isinstance(value, float) and math.isfinite(value):
        return int(value) if value.is_integer() else value
    if value is None or isinstance(value, (bool, int, str)):
        return value
    raise ValueError(f"{name}: {value!r} cannot name a branch; it must be plain data with finite numbers")
