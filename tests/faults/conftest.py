"""The laboratory in which studies are struck: two nodes, MLflow and PostgreSQL in network namespaces."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # benchmarks are no installed package

from benchmarks.faults.lab import Lab, missing


@pytest.fixture(scope="session", name="namespaces")
def _namespaces() -> None:
    """Skips where no laboratory can be made, or fails where one is required."""
    if reason := missing():
        if os.environ.get("PAMFN_REQUIRE_SHARED") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def lab(namespaces: None) -> Iterator[Lab]:
    """Returns a laboratory, made once."""
    with Lab() as made:
        yield made
