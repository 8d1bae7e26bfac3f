"""Every node of a cluster, asked at once; one that does not answer is a fault and no reason to wait."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tuning.preflight.answering import Answer, Question, answer, versions
from tuning.shipping import code_digest
from tuning.storage import is_remote, open_store

PATIENCE = 90.0  # seconds for every node to answer
HEAD = "node:__internal_head__"
SKEW = 5.0  # seconds between two clocks that are worth a line


@dataclass(frozen=True)
class Told:
    """What a node told.

    Args:
        node: Its name, for people.
        answer: What it said; None if nothing came.
        fault: Why nothing came; empty if something did.
        skew: Seconds by which its clock is ahead at least, negative if it is behind.
    """

    node: str
    answer: Answer | None
    fault: str = ""
    skew: float = 0.0


def alive(ray: Any) -> list[dict[str, Any]]:
    """Returns the nodes that are there."""
    return [node for node in ray.nodes() if node["Alive"]]


def ask(ray: Any, question: Question, nodes: Sequence[dict[str, Any]], patience: float = PATIENCE) -> list[Told]:
    """Asks nodes, and returns what each told.

    Args:
        ray: Ray, connected to the cluster.
        question: The question; each node gets a name of its own for its answer.
        nodes: The nodes.
        patience: Seconds after which one does not answer.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    remote = ray.remote(num_cpus=0, max_retries=0)(answer)
    pending, began = dict[Any, str](), time.time()
    for number, (node, name) in enumerate(zip(nodes, names_of(nodes), strict=True)):
        mine = replace(question, answer=f"{question.answer}-{number}", head=HEAD in node["Resources"])
        strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        pending[remote.options(scheduling_strategy=strategy).remote(mine)] = name
    told, until = list[Told](), time.monotonic() + patience
    while pending and (left := until - time.monotonic()) > 0:
        done, _ = ray.wait(list(pending), timeout=left)
        told += [_told(ray, reference, pending.pop(reference), began) for reference in done]
    for reference in pending:
        ray.cancel(reference, force=True)
    silent = f"has not answered within {patience:g} s; is it cut off, or out of memory? take it out of the cluster"
    return sorted([*told, *(Told(name, None, silent) for name in pending.values())], key=lambda each: each.node)


def faults_of(told: Sequence[Told], digest: str) -> list[str]:
    """Returns what is wrong with the nodes, each with its name.

    Args:
        told: What they told.
        digest: Digest of the data as the driver reads them.
    """
    mine, code = versions(), code_digest()
    return [
        f"{each.node} {fault}"
        for each in told
        for fault in ([each.fault] if each.fault else _faults(each.answer, mine, code, digest))
    ]


def unseen(told: Sequence[Told], question: Question) -> list[str]:
    """Returns a fault for each node that has written its answer to the storage, where the driver does not find it."""
    store, where = open_store(question.storage), question.storage
    return [
        f"{each.node} writes to {where}, and it is not here: its storage is another; give a --storage that every node "
        "mounts"
        for each in told
        if each.answer is not None and each.answer.wrote and store.read(each.answer.wrote) != question.token
    ]


def notes_of(told: Sequence[Told]) -> list[str]:
    """Returns what is worth saying of the nodes, though nothing is wrong."""
    return [
        f"the clock of {each.node} is at least {abs(each.skew):.0f} s {'ahead' if each.skew > 0 else 'behind'}; times "
        "in records are off by as much (set up NTP)"
        for each in told
        if abs(each.skew) > SKEW
    ]


def names_of(nodes: Sequence[dict[str, Any]]) -> list[str]:
    """Returns names for people: host and address, and the node's id where those are not enough."""
    plain = [_plain(node) for node in nodes]
    return [
        f"{name} ({node['NodeID'][:8]})" if plain.count(name) > 1 else name
        for name, node in zip(plain, nodes, strict=True)
    ]


@contextmanager
def shared_file(storage: str, nodes: int) -> Iterator[tuple[str, bytes]]:
    """Keeps a file in the storage for as long as the block lasts, and takes it and its answers away again.

    Yields its name and its content; a folder that was not there is gone afterwards.

    Args:
        storage: Folder or URI of all studies.
        nodes: How many may answer.
    """
    name, token = f".asked-{uuid.uuid4().hex}", uuid.uuid4().hex.encode()
    new = [] if is_remote(storage) else [p for p in (Path(storage), *Path(storage).parents) if not p.exists()]
    store = open_store(storage)
    store.write(name, token)
    try:
        yield name, token
    finally:
        store.remove(name, *(f"{name}-{number}" for number in range(nodes)))
        for folder in new:
            folder.rmdir()


def _plain(node: dict[str, Any]) -> str:
    host, address = node.get("NodeManagerHostname", ""), node["NodeManagerAddress"]
    return f"node {host} ({address})" if host and host != address else f"node {address}"


def _told(ray: Any, reference: Any, name: str, began: float) -> Told:
    try:
        said: Answer = ray.get(reference)
    except ray.exceptions.RayError as error:
        last = str(error).strip().splitlines()[-1][:200]
        return Told(name, None, f"cannot run the code: {type(error).__name__}: {last}")
    now = time.time()
    return Told(name, said, skew=said.clock - now if said.clock > now else min(0.0, said.clock - began))


def _faults(said: Answer | None, mine: dict[str, str], code: str, digest: str) -> Iterator[str]:
    if said is None:
        return
    if said.code != code:
        yield "imports other code than was shipped; uninstall pamfn-tuning there, or clear PYTHONPATH"
    for name, version in mine.items():
        if (theirs := said.versions.get(name, "none")) != version:
            yield f"has {name} {theirs}, and the driver {version}; install the same there"
    if said.data and said.data != digest:
        way_out = "bring them up to date there, or give a --data that every node shares"
        yield f"reads other data: digest {said.data[:12]}, and the driver's is {digest[:12]}; {way_out}"
    yield from said.faults
