"""Which code made a run: its git commit, and what a run's page shows as its source."""

from __future__ import annotations

import getpass
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def source_tags() -> dict[str, str]:
    """Returns the tags of MLflow that ``MlflowClient.create_run`` leaves out: user, source, version and git commit."""
    tags = {"mlflow.source.name": Path(sys.argv[0]).name or "python", "mlflow.source.type": "LOCAL", **git_tags()}
    try:
        tags["mlflow.user"] = getpass.getuser()
    except (OSError, KeyError):  # a container without an entry for this user id
        tags["mlflow.user"] = "unknown"
    try:
        tags["code_version"] = metadata.version("pamfn-tuning")
    except metadata.PackageNotFoundError:
        tags["code_version"] = "source tree"
    return tags


def git_tags(package: Path = PACKAGE) -> Mapping[str, str]:
    """Returns the commit of the checkout that holds this code, and whether files in it were changed since.

    Empty where the code is an installed copy: an environment inside somebody's checkout must not be taken for it.
    """
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return {}
    commit = _git(package, "rev-parse", "HEAD")
    changes = _git(package, "status", "--porcelain", "--untracked-files=no")
    if commit is None or changes is None:
        return {}
    return {"mlflow.source.git.commit": commit, "git_commit": commit, "git_changed": str(bool(changes)).lower()}


def _git(folder: Path, *arguments: str) -> str | None:
    """Returns git's answer, or None where git is missing or the folder is no checkout."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
