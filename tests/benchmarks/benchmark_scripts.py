"""Scripts of ``benchmarks/`` as modules; they are no package."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

FOLDER = str(Path(__file__).resolve().parents[2] / "benchmarks")


def load(name: str) -> ModuleType:
    """Returns a script as a module, able to import the scripts beside it as when it is run."""
    if FOLDER not in sys.path:
        sys.path.append(FOLDER)
    return importlib.import_module(name)
