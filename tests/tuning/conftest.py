"""Fixtures of the tests that train: planted data, made once."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from launching import SEQUENTIAL, Ended, Launch
from s3_server import KEYS, S3Server

from tuning.planted import ensure_planted
from tuning.sections import Synthetic

os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def planted_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of a tiny planted set: two classes of 60 and 30 videos, three modalities."""
    folder = tmp_path_factory.mktemp("planted") / "tiny"
    ensure_planted(Synthetic(size="tiny"), folder)
    return folder


@pytest.fixture(scope="session")
def launch_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Returns a home directory for launches; its path is short, since Ray puts sockets under it."""
    home = Path(tempfile.mkdtemp(prefix="h", dir="/tmp"))
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, launch_home: Path) -> tuple[Path, Ended]:
    """Returns the folder and the end of a study of 12 trials, one at a time, that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, Launch(folder, launch_home, *SEQUENTIAL).ended()


@pytest.fixture(scope="session")
def _one_s3_server() -> Iterator[S3Server]:
    pytest.importorskip("moto", reason="moto is not installed")
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture
def s3(_one_s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> S3Server:
    """Returns an S3 server, with who we are in the environment, and a folder of this test to work in."""
    for name, value in {**KEYS, "TUNING_WORK": str(tmp_path / "work")}.items():
        monkeypatch.setenv(name, value)
    return _one_s3_server


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Returns a location of each kind, which nothing is at."""
    if request.param == "folder":
        return str(tmp_path / "place")
    server: S3Server = request.getfixturevalue("s3")
    return server.uri(f"place-{tmp_path.name}-{id(request)}")
