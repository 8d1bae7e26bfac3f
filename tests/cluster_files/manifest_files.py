"""The files of cluster/, read: manifests with their variables filled in, what they publish, the images they name."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "cluster"
DOCUMENT = ROOT / "docs" / "clusters.md"

_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def documents(path: Path) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one is not None]


def filled(path: Path, **given: str) -> dict[str, Any]:
    """Returns a Compose file with its variables filled in as Compose does; one without a default must be given."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if name in given:
            return given[name]
        assert kind == "-", f"{path.name}: {name} has no default and was not given"
        return rest

    return dict(yaml.safe_load(_VARIABLE.sub(value, path.read_text(encoding="utf-8"))))


def compose(**given: str) -> dict[str, Any]:
    return filled(CLUSTER / "compose" / "compose.yaml", PAMFN_SECRETS="/secrets", PAMFN_USER="1000:1000", **given)


def mappings(node: object) -> Iterator[dict[str, Any]]:
    """Yields every mapping of a document, outermost first."""
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from mappings(inner)


def manifests() -> list[Path]:
    return sorted(path for path in CLUSTER.rglob("*.y*ml"))


def scripts() -> list[Path]:
    return sorted(path for pattern in ("*.sh", "*.sbatch") for path in CLUSTER.rglob(pattern))


def program(name: str) -> str:
    """Returns a program that comes with the extra ``dev``, from beside this interpreter."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is not installed; it comes with the extra `dev`")
    return found
