"""One piece of a released network, its mixed branch or a modality's branch, read from the state dict that holds it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pamfn.released.faults import CheckpointError
from pamfn.released.matching import Matching, layers_of, match
from pamfn.released.parts import MODALITIES, START, TAU, Part, Sizes, branch_parts, fusion_parts
from pamfn.released.sizes import BranchSizes, branch_sizes, fusion_sizes


@dataclass(frozen=True)
class Source:
    """A state dict of one piece.

    Args:
        name: The file, for messages.
        state: Its tensors, without ``prefix``.
        prefix: What their names begin with in the file.
    """

    name: str
    state: Mapping[str, Tensor]
    prefix: str = ""

    def told(self, lines: Iterable[str]) -> list[str]:
        """Returns lines that begin with a name, with the file and the whole name."""
        return [f"{self.name}: {self.prefix}{line}" for line in lines]


@dataclass
class Piece:
    """What a source holds.

    Attributes:
        sizes: Sizes of the mixed branch, if it is one whose sizes can be told.
        branch: Sizes of a modality's branch, likewise.
        tensors: Its tensors by their names in the preset; those of FusionNets stacked.
        unused: How many of its numbers the release does nothing with.
        faults: All that keeps it from being used.
        notes: How it was read where names left that open.
    """

    sizes: Sizes | None = None
    branch: BranchSizes | None = None
    tensors: dict[str, Tensor] = field(default_factory=dict)
    unused: int = 0
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def split(source: Source) -> tuple[Source, dict[str, Source]]:
    """Returns the mixed branch of a final state dict, and the modalities' branches that it holds."""
    held = {
        modality: Source(source.name, own, prefix)
        for modality, prefix in MODALITIES.items()
        if (own := {k.removeprefix(prefix): v for k, v in source.state.items() if k.startswith(prefix)})
    }
    prefixes = tuple(own.prefix for own in held.values())
    mixed = {name: value for name, value in source.state.items() if not (prefixes and name.startswith(prefixes))}
    return Source(source.name, mixed), held


def read_branch(source: Source, mine: str) -> Piece:
    """Reads a modality's branch.

    Args:
        source: Its state dict.
        mine: What the names of its tensors begin with in the preset.
    """
    try:
        sizes = branch_sizes(source.state)
    except CheckpointError as error:
        return Piece(faults=source.told(error.faults))
    piece = _matched(source, source.state, list(branch_parts(mine, sizes.inputs, sizes.width, sizes.stages)))
    piece.branch = sizes
    return piece


def read_mixed(source: Source) -> Piece:
    """Reads the mixed branch with its decoders and FusionNets, the final head and the temperature."""
    rest = {name: value for name, value in source.state.items() if name not in (TAU, START)}
    faults = source.told(_single_faults(source.state))
    try:
        sizes = fusion_sizes(source.state)
    except CheckpointError as error:
        return Piece(faults=source.told(error.faults) + faults)
    piece = _matched(source, rest, list(fusion_parts(sizes)))
    piece.sizes, piece.faults = sizes, piece.faults + faults
    if not piece.faults:
        piece.tensors[TAU] = source.state[TAU].reshape(())
        piece.unused += source.state[START].numel() if START in source.state else 0
        _undo_second_sign(piece.tensors, sizes.stages)
    return piece


def _single_faults(state: Mapping[str, Tensor]) -> Iterator[str]:
    """Yields what is wrong with the two tensors that belong to no layer."""
    tau, start = state.get(TAU), state.get(START)
    if tau is None:
        yield f"{TAU}: missing"
    elif tau.numel() != 1:
        yield f"{TAU}: shape {tuple(tau.shape)}, expected one number"
    elif float(tau) <= 0:
        yield f"{TAU}: {float(tau):g} is not above 0: the release divides by it, which turns every decision round"
    if start is not None and bool(start.any()):
        yield f"{START}: is not zero throughout, and the mixed branch starts from zeros here"


def _matched(source: Source, state: Mapping[str, Tensor], parts: Sequence[Part]) -> Piece:
    layers = layers_of(state)
    found = match(layers, parts)
    piece = Piece(faults=source.told(found.faults), notes=source.told(found.notes))
    if not piece.faults:
        piece.tensors = _assembled(found, layers)
        unused = [layers.get(part.prefix + name, {}) for part in parts for name in part.unused]
        piece.unused = sum(value.numel() for layer in unused for value in layer.values())
    return piece


def _assembled(found: Matching, layers: Mapping[str, dict[str, Tensor]]) -> dict[str, Tensor]:
    """Returns the tensors by their names in the preset, FusionNets stacked in their order."""
    tensors, stacks = dict[str, Tensor](), dict[str, dict[int, Tensor]]()
    for leaf, name in found.names.items():
        for own in leaf.fields:
            value, mine = layers[name][own], f"{leaf.mine}.{own}"
            if leaf.net is None:
                tensors[mine] = value
            else:
                stacks.setdefault(mine, {})[leaf.net] = value
    return tensors | {mine: torch.stack([nets[k] for k in sorted(nets)]) for mine, nets in stacks.items()}


def _undo_second_sign(tensors: dict[str, Tensor], stages: int) -> None:
    """Turns the bias of CMFD's query round, in place.

    The release's query is W (-x) + b, and its scores are negated as well, so that they are (W x - b) . k: the signs
    cancel for the weights and leave one on the bias. The preset has neither sign.
    """
    for i in range(stages):
        name = f"stages.{i}.cmfd.attention.query.bias"
        tensors[name] = -tensors[name]
