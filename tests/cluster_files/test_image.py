"""The image: the environment of pyproject.toml, and nothing of what lies about in a working copy."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from manifest_files import CLUSTER, ROOT, program

DOCKERFILE = (CLUSTER / "Dockerfile").read_text(encoding="utf-8")
LINES = re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", "")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirements(folder: Path) -> list[str]:
    """Runs the Dockerfile's own line that reads pyproject.toml."""
    found = re.search(r'RUN python -c "(.+?)" > requirements\.txt', LINES, re.DOTALL)
    assert found is not None
    (folder / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    done = subprocess.run([sys.executable, "-c", found[1]], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.split("\n")[:-1]


def test_the_image_installs_what_pyproject_asks_for_and_nothing_else(tmp_path: Path) -> None:
    extras = PROJECT["optional-dependencies"]
    assert requirements(tmp_path) == [*PROJECT["dependencies"], *extras["s3"], *extras["server"]]
    installs = re.findall(r"pip install ([^&;\n]+)", LINES)
    assert len(installs) == 3
    assert installs[0].strip().endswith("\"$(grep '^torch[^a-z]' requirements.txt)\"")
    assert installs[1].strip() == "--requirement requirements.txt"
    assert installs[2].strip() == "--no-deps ."
    assert "pip check" in LINES


def test_the_build_argument_chooses_the_torch_that_pyproject_asks_for(tmp_path: Path) -> None:
    chosen = [line for line in requirements(tmp_path) if re.match(r"torch[^a-z]", line)]
    assert chosen == [line for line in PROJECT["dependencies"] if line.startswith("torch>")]
    assert "ARG DEVICE=cuda" in LINES
    assert '[ "$DEVICE" = cpu ]' in LINES


def test_the_image_has_a_python_that_the_project_runs_on() -> None:
    found = re.search(r"^FROM python:(\d+)\.(\d+)\.\d+-slim-\w+$", LINES, re.MULTILINE)
    assert found is not None, "one base image, pinned to a patch release"
    least = re.fullmatch(r">=(\d+)\.(\d+)", PROJECT["requires-python"])
    assert least is not None
    assert (int(found[1]), int(found[2])) >= (int(least[1]), int(least[2]))


def test_the_image_runs_as_a_user_of_no_rights() -> None:
    assert re.findall(r"^USER (.+)$", LINES, re.MULTILINE) == ["1000:1000"]


def test_the_linter_of_dockerfiles_finds_nothing() -> None:
    done = subprocess.run([program("hadolint"), str(CLUSTER / "Dockerfile")], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def sent(path: str) -> bool:
    """Returns whether .dockerignore sends a path to the build: the last line counts that matches it or a folder."""
    verdict = True
    parts = path.split("/")
    heads = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!").removeprefix("**/")
            names = [*heads, *parts] if "**/" in line else heads
            if any(fnmatch.fnmatchcase(name, pattern) for name in names):
                verdict = line.startswith("!")
    return verdict


LYING_ABOUT = [
    "data/rg.parquet",
    "shards/rg/0.parquet",
    "studies/rg/best.yaml",
    "mlruns/0/meta.yaml",
    "mlflow.db",
    ".env",
    ".git/config",
    "id_ed25519",
    "cluster/secrets.sh",
    "cluster/compose/compose.yaml",
    "secrets/ray_token",
    "pamfn/__pycache__/a.pyc",
]


@pytest.mark.parametrize("path", LYING_ABOUT)
def test_data_studies_and_secrets_stay_out_of_the_build(path: str) -> None:
    assert not sent(path)


def test_what_the_image_copies_is_there_and_sent() -> None:
    sources = [word for line in re.findall(r"^COPY (.+)$", LINES, re.MULTILINE) for word in line.split()[:-1]]
    assert {"pyproject.toml", "pamfn", "tuning", "search_spaces"} <= set(sources)
    assert [name for name in sources if not (ROOT / name).exists() or not sent(name)] == []
    assert sent("tuning/launch.py")
