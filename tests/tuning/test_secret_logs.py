"""Secrets in the environment of a launch stay there: no file that it or Ray writes holds one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from launching import QUICK, Launch

CANARIES = {
    name: f"canary-{i}-0f5e1c"
    for i, name in enumerate(
        (
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "MLFLOW_TRACKING_PASSWORD",
            "MLFLOW_TRACKING_TOKEN",
            "PGPASSWORD",
        )
    )
}


@pytest.fixture
def home() -> Iterator[Path]:
    """A home of this launch alone, whose path is short, since Ray puts sockets under it."""
    home = Path(tempfile.mkdtemp(prefix="c", dir="/tmp"))
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize("engine", ["auto", "off"])
def test_no_file_of_a_study_or_of_its_cluster_holds_a_secret(tmp_path, home, monkeypatch, engine):
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    sets = [word for value in (*QUICK, f"resources.engine={engine}") for word in ("--set", value)]
    launch = Launch(tmp_path / "w", home, "--space", "quickstart.yaml", "--num-samples", "2", "--verbose", *sets)
    ended = launch.ended()
    assert ended.status == 0, ended.err
    files = [path for root in (tmp_path, home) for path in root.rglob("*") if path.is_file()]
    assert any(path.name == "runtime_env_agent.log" for path in files)
    written = {path: path.read_bytes() for path in files}
    holding = {(name, path.name) for name, v in CANARIES.items() for path, b in written.items() if v.encode() in b}
    assert not holding
