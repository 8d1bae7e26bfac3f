"""Nodes that are taken back by their owner, as spot machines are, with a notice some time before."""

from __future__ import annotations

import ray
from ray.core.generated.common_pb2 import NodeDeathInfo


def is_leaving(node: str) -> bool:
    """Tells whether Ray was told that a node will be taken away, and it is still there.

    Ray has no public way to ask; its own libraries ask like this.
    """
    return node in ray._private.state.state.get_draining_nodes()


def was_taken_back(node: str) -> bool:
    """Tells whether a node is being taken away, or is gone because it was."""
    gone = (entry.get("DeathReason") for entry in ray.nodes() if entry["NodeID"] == node and not entry["Alive"])
    return is_leaving(node) or NodeDeathInfo.AUTOSCALER_DRAIN_PREEMPTED in gone
