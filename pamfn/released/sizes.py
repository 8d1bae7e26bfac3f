"""The sizes of a released network, read from the shapes of its state dict."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from pamfn.released.faults import CheckpointError
from pamfn.released.parts import Sizes

WIDTH = ("stage1.conv.0.weight", "stage1.short_cut.0.weight", "stage1.conv.1.weight")
NETS = ("stage1.f_fusion.policy.0.weight",)
HIDDEN = ("fc.1.weight", "fc.2.weight")
EMBEDDING = "embedding.0.weight"


def fusion_sizes(state: Mapping[str, Tensor]) -> Sizes:
    """Returns N, D, K and the width of the head's hidden layer.

    Raises:
        CheckpointError: If the weights that tell them are not there, or no preset has such sizes.
    """
    faults = [
        f"{keys[0]}: missing; {what} is read from it{_instead(state)}"
        for what, keys in (("the width", WIDTH), ("the head's hidden width", HIDDEN))
        if _outputs(state, keys) is None
    ]
    nets = _outputs(state, NETS) or _count(state, r"stage1\.f_fusion\.ffn\.(\d+)\.", first=0)
    if not nets:
        faults.append(f"{NETS[0]}: missing; the number of FusionNets is read from it")
    if faults:
        raise CheckpointError(faults)
    width, hidden = _outputs(state, WIDTH) or 0, _outputs(state, HIDDEN) or 0
    if not hidden or width % hidden:
        raise CheckpointError([f"{HIDDEN[0]}: {hidden} hidden features; the release has width {width} over r"])
    return Sizes(_count(state, r"stage(\d+)\.(?:conv|short_cut|s_fusion|f_fusion)\.", first=1), width, nets, hidden)


@dataclass(frozen=True)
class BranchSizes:
    """What the shapes of a branch's state dict say.

    Args:
        inputs: Width of its features.
        width: D.
        stages: N.
    """

    inputs: int
    width: int
    stages: int


def branch_sizes(state: Mapping[str, Tensor]) -> BranchSizes:
    """Returns the sizes of a branch.

    Raises:
        CheckpointError: If the weight that tells them is not there.
    """
    if EMBEDDING not in state:
        raise CheckpointError([f"{EMBEDDING}: missing; a branch's sizes are read from it{_instead(state)}"])
    shape = tuple(state[EMBEDDING].shape)
    if len(shape) < 2 or shape[0] < 2:
        raise CheckpointError([f"{EMBEDDING}: shape {shape} is not (2 D, inputs, 1)"])
    return BranchSizes(int(shape[1]), int(shape[0]) // 2, _count(state, r"stage(\d+)\.conv", first=1))


def _outputs(state: Mapping[str, Tensor], keys: Sequence[str]) -> int | None:
    """Returns the length of the first of these tensors that is there."""
    return next((int(state[key].shape[0]) for key in keys if key in state and state[key].ndim), None)


def _count(state: Mapping[str, Tensor], pattern: str, *, first: int) -> int:
    """Returns how many there are of what is numbered from ``first``."""
    numbers = [int(found[1]) for key in state if (found := re.match(pattern, key))]
    return max(numbers, default=first - 1) - first + 1


def _instead(state: Mapping[str, Tensor]) -> str:
    names = list(state)
    return f" (there are {len(names)} keys, such as {', '.join(names[:3])})"
