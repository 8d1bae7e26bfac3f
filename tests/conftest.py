"""Fixtures that several folders of tests share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Returns a lookup of real data kept beside the repository; absent data skips, or fails where it is required."""
    root = Path(os.environ.get("PAMFN_SHARED", REPOSITORY.parent / "shared"))

    def find(name: str) -> Path:
        path = root / "data" / name
        if not path.exists():
            reason = f"shared data {name!r} is not beside the repository (set PAMFN_SHARED to its folder)"
            missing(reason)
        return path

    return find


@pytest.fixture(scope="session")
def chromium() -> str:
    """Returns the path of Chromium; where it is absent the test is skipped, or fails where it is required."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        missing(f"none of {', '.join(names)} is installed (Debian: apt-get install chromium)")
    return str(found)


def missing(reason: str) -> None:
    """Skips the test for want of something, or fails it where PAMFN_REQUIRE_SHARED says that all must be there."""
    if os.environ.get("PAMFN_REQUIRE_SHARED") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
