"""Runs on a node: what it says of itself, and what is wrong there."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

import yaml

from pamfn.data.faults import ShardError
from pamfn.data.shards import read_table_of_contents
from tuning.shipping import code_digest
from tuning.storage import StorageError, is_remote, open_store
from tuning.tracking import check_tracking

PACKAGES = ("torch", "ray", "mlflow")
BOOTSTRAP = Path("~/ray_bootstrap_config.yaml")  # where Ray's cluster launcher leaves its configuration on the head


@dataclass(frozen=True)
class Question:
    """What a node is asked.

    Args:
        storage: Folder or URI of all studies.
        asked: Name of a file there that the driver has written.
        answer: Name of the file that the node is to write.
        token: Content of both.
        data: Folder or URI of the shards; empty while there are none to read.
        tracking_uri: MLflow; empty where only the driver's machine has it.
        head: Whether the node is to say what the cluster can grow by.
    """

    storage: str
    asked: str
    answer: str
    token: bytes
    data: str
    tracking_uri: str
    head: bool = False


@dataclass(frozen=True)
class Answer:
    """What a node says.

    Args:
        code: Digest of our packages as it imports them.
        versions: Versions of Python and of what we stand on.
        clock: Its time.
        data: Digest of the data that it reads; empty if it was not asked.
        wrote: Name of the file that it has written to the storage; empty if it could not.
        faults: What is wrong there, each to be read after the node's name.
        types: Kinds of nodes that an autoscaler may add, each with ``resources`` and ``max_workers``; None if it knows
            of no autoscaler.
        grows: Whether something may add nodes of kinds that it does not know.
    """

    code: str
    versions: dict[str, str]
    clock: float
    data: str = ""
    wrote: str = ""
    faults: tuple[str, ...] = field(default=())
    types: tuple[dict[str, Any], ...] | None = None
    grows: bool = False


def answer(question: Question) -> Answer:
    """Returns what this node says; whatever it finds wrong is among the faults."""
    faults = _storage_faults(question)
    wrote = "" if faults else question.answer
    digest = ""
    if question.data:
        try:
            digest = read_table_of_contents(question.data)[0].digest
        except (ShardError, OSError) as error:
            first = str(error).splitlines()[0]
            faults.append(f"cannot read the data ({first}); put them where every node mounts them, or into a bucket")
    if question.tracking_uri:
        faults += [f"does not reach MLflow: {fault}" for fault in check_tracking(question.tracking_uri)]
    types = _node_types() if question.head else None
    grows = question.head and types is None and "KUBERNETES_SERVICE_HOST" in os.environ
    return Answer(code_digest(), versions(), time.time(), digest, wrote, tuple(faults), types, grows)


def versions() -> dict[str, str]:
    """Returns the versions of what a trial depends on; a build's own mark (``+cu128``) is left out."""
    found = {"Python": python_version().rpartition(".")[0]}
    for package in PACKAGES:
        try:
            found[package] = version(package).partition("+")[0]
        except PackageNotFoundError:
            found[package] = "none"
    return found


def _storage_faults(question: Question) -> list[str]:
    """Returns what keeps this node from sharing the storage; a folder that is not there is not made."""
    where = question.storage
    try:
        store = open_store(where)
        if store.read(question.asked) != question.token:
            way_out = "give it the same credentials" if is_remote(where) else "give a --storage that every node mounts"
            return [f"does not see {where}; {way_out}"]
        store.write(question.answer, question.token)
    except (StorageError, OSError) as error:
        return [f"cannot write to {where}: {getattr(error, 'strerror', None) or error}"]
    return []


def _node_types() -> tuple[dict[str, Any], ...] | None:
    try:
        config = yaml.safe_load(BOOTSTRAP.expanduser().read_text(encoding="utf-8"))
        head, types = config.get("head_node_type"), config["available_node_types"]
        return tuple(
            {"name": name, "resources": dict(kind.get("resources") or {}), "max_workers": int(kind["max_workers"])}
            for name, kind in types.items()
            if name != head and kind.get("max_workers")
        )
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError):
        return None
