"""Whether a cluster can ever hold what trials run on: on the nodes that are there, or on those that can be added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tuning.cluster import Room, fits
from tuning.sections import Resources


def room_in(
    nodes: Sequence[dict[str, float]], types: Sequence[dict[str, Any]] | None, resources: Resources, *, grows: bool
) -> tuple[Room, list[str], list[str]]:
    """Returns what an engine or a trial takes and how many fit, with faults and notes.

    Args:
        nodes: Resources of the nodes that are alive.
        types: Kinds of nodes that an autoscaler may add, each with ``name``, ``resources`` and ``max_workers``; None if
            nothing is known of an autoscaler.
        resources: What the study asks for.
        grows: Whether nodes of unknown kinds may be added.
    """
    kinds = [*nodes, *(kind["resources"] for kind in types or [])]
    gpu = resources.gpu if resources.gpu != "auto" else float(any(node.get("GPU", 0) for node in kinds))
    now = sum(fits(node, resources.cpu, gpu) for node in nodes)
    later = {k["name"]: k["max_workers"] * fits(k["resources"], resources.cpu, gpu) for k in types or []}
    ever = max(now, sum(later.values()))
    who = "a trial" if resources.engine == "off" else "an engine"
    asks = f"{who} asks for {resources.cpu:g} CPU and {gpu:g} GPU"
    faults, notes = list[str](), list[str]()
    if not ever and not grows:
        faults.append(f"resources: {asks}; {_held(nodes, types)}")
    elif not now:
        who_grows = ", ".join(name for name, count in later.items() if count) or "an autoscaler"
        notes.append(f"{asks}, and no node holds that now; the study waits for {who_grows}")
    if resources.engine != "off" and resources.devices != "auto" and ever and int(resources.devices) > ever:
        asked = f"resources.devices: {resources.devices} engines are asked for, and"
        if types is not None:
            faults.append(f"{asked} {ever} can ever be there; ask for {ever}, or raise max_workers")
        else:
            notes.append(f"{asked} {ever} fit now; the others wait for nodes that are added")
    if resources.precision == "bf16" and (not gpu or resources.engine == "off"):
        faults.append("resources.precision: bf16 takes an engine on a GPU; use tf32 or float32 here")
    return Room(resources.cpu, gpu, now or min(1, ever) or int(grows)), faults, notes


def _held(nodes: Sequence[dict[str, float]], types: Sequence[dict[str, Any]] | None) -> str:
    held = f"the nodes have {', '.join(map(_size, nodes))}"
    return held if not types else f"{held}; those that can be added {', '.join(_size(k['resources']) for k in types)}"


def _size(node: dict[str, float]) -> str:
    return f"{node.get('CPU', 0):g} CPU and {node.get('GPU', 0):g} GPU"
