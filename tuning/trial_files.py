"""A trial's checkpoint: trained weights, moments, and where it stands; fixed branches are named, not copied."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

LAST, BEST, MOMENTS, STANDING = "last.safetensors", "best.safetensors", "optimizer.safetensors", "trial.json"
VERSION = 2

States = Sequence[Mapping[str, "Tensor"]]


def write_checkpoint(folder: Path, states: States, best: States, standing: Mapping[str, Any], *, ended: bool) -> None:
    """Writes a checkpoint into an empty folder.

    Args:
        folder: The folder.
        states: What `Training.state` returned for each replica that has begun.
        best: Weights of each replica at the best milestone so far; empty before the first that all stood at.
        standing: Plain values: configuration, names of the replicas, curve, rungs, keys of the fixed branches.
        ended: Whether the trial has had its full budget; its moments are left out then.
    """
    from safetensors.torch import save_file

    def some(prefix: str) -> dict[str, Tensor]:
        named = ((i, name, value) for i, state in enumerate(states) for name, value in state.items())
        return {f"{i}/{name.removeprefix(prefix)}": v.contiguous() for i, name, v in named if name.startswith(prefix)}

    save_file(some("weights/"), folder / LAST)
    if not ended:
        save_file(some("optimizer/"), folder / MOMENTS)
    if best:
        save_file({f"{i}/{n}": v.contiguous() for i, state in enumerate(best) for n, v in state.items()}, folder / BEST)
    account = {"version": VERSION, **standing, "steps": [int(state["step"]) for state in states], "ended": ended}
    (folder / STANDING).write_text(json.dumps(account), encoding="utf-8")


def is_complete(folder: Path) -> bool:
    """Tells whether a folder holds all files of a checkpoint, and none that was cut short when its node went down."""
    from safetensors import SafetensorError, safe_open

    try:
        ended = json.loads((folder / STANDING).read_text(encoding="utf-8"))["ended"]
        best = [BEST] if (folder / BEST).exists() else []
        for name in [LAST, *best, *([] if ended else [MOMENTS])]:
            with safe_open(folder / name, "pt"):  # compares the header with the size of the file
                pass
    except (OSError, ValueError, KeyError, SafetensorError):
        return False
    return True


def holds(folder: Path, config: Mapping[str, Any]) -> bool:
    """Tells whether a complete checkpoint is that of a trial with these values of the searched settings."""
    standing = json.loads((folder / STANDING).read_text(encoding="utf-8"))
    return bool(standing.get("config") == json.loads(json.dumps(config)))


def read_checkpoint(folder: Path) -> tuple[list[dict[str, Tensor]], list[dict[str, Tensor]], dict[str, Any]]:
    """Returns each replica's state, its best weights, and the standing; what `write_checkpoint` was given.

    Raises:
        ValueError: If the folder holds no checkpoint of this version.
        FileNotFoundError: If a file of it is missing.
    """
    import torch
    from safetensors.torch import load_file

    standing = json.loads((folder / STANDING).read_text(encoding="utf-8"))
    if standing.get("version") != VERSION:
        raise ValueError(f"{folder / STANDING}: version {standing.get('version')!r} is not {VERSION}")
    states: list[dict[str, Tensor]] = [{"step": torch.tensor(step)} for step in standing["steps"]]
    best: list[dict[str, Tensor]] = [{} for _ in states]
    for file, prefix in ((LAST, "weights/"), *(() if standing["ended"] else ((MOMENTS, "optimizer/"),))):
        for name, value in load_file(folder / file).items():
            replica, _, own = name.partition("/")
            states[int(replica)][f"{prefix}{own}"] = value
    if (folder / BEST).exists():
        for name, value in load_file(folder / BEST).items():
            replica, _, own = name.partition("/")
            best[int(replica)][own] = value
    return states, best if (folder / BEST).exists() else [], standing
