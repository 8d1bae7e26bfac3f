"""Released state dicts as networks of the released preset, which score as they did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pamfn.architectures import build_network
from pamfn.phases.saved import SavedNetworks
from pamfn.phases.target import ScaledTarget
from pamfn.recipe import Recipe, recipe
from pamfn.released.faults import CheckpointError
from pamfn.released.parts import MODALITIES, Sizes
from pamfn.released.pieces import Piece, Source, read_branch, read_mixed, split
from pamfn.replicas.cut import cut

FIRST = "embedding.linear1.weight"


@dataclass(frozen=True)
class Imported:
    """What came of an import.

    Args:
        networks: The network.
        parameters: Its parameters, those included that the release has and does nothing with.
        unused: How many those are; they are left out.
        notes: How it was read where names, or the files given, left that open.
    """

    networks: SavedNetworks
    parameters: int
    unused: int
    notes: list[str]


def import_fusion(
    fusion: Source, branches: Mapping[str, Source], *, name: str, largest: float, **settings: Any
) -> Imported:
    """Returns the whole network of a final state dict.

    Args:
        fusion: The final state dict. Branches that it holds (``model_r.`` and so on) are those that it scores with.
        branches: Those of the modalities that its file does not hold.
        name: Name of the network.
        largest: C of the score that it learned.
        settings: What shapes do not tell: heads, and whether noise is drawn in evaluation.

    Raises:
        CheckpointError: If keys are missing, unknown or misshapen, or a setting does not fit; all faults at once.
    """
    rest, held = split(fusion)
    mixed = read_mixed(rest)
    pieces = {m: read_branch(source, f"branches.{m}.") for m, source in {**branches, **held}.items()}
    faults = [fault for piece in (mixed, *pieces.values()) for fault in piece.faults]
    for modality, prefix in MODALITIES.items():
        if modality not in pieces:
            faults.append(f"{fusion.name}: no {prefix} keys, and no file of the {modality} branch was given")
        elif mixed.sizes:
            faults += _disagreement(modality, pieces[modality], mixed.sizes)
    if faults or mixed.sizes is None:
        raise CheckpointError(faults)
    widths = {modality: piece.branch.inputs for modality in MODALITIES if (piece := pieces[modality]).branch}
    parts = [pieces[modality] for modality in MODALITIES] + [mixed]
    sizes = mixed.sizes
    shape = {"stages": sizes.stages, "width": sizes.width, "fusion_nets": sizes.nets}
    made = _recipe({**shape, "head_reduction": sizes.width // sizes.hidden, **settings})
    state = _shaped(_shapes(made, widths), {key: value for piece in parts for key, value in piece.tensors.items()})
    unused = sum(piece.unused for piece in parts)
    return Imported(
        SavedNetworks(made, widths, [name], [ScaledTarget(largest)], [state]),
        _parameters(state) + unused,
        unused,
        [note for piece in parts for note in piece.notes],
    )


def import_branch(source: Source, modality: str, *, name: str, largest: float) -> Imported:
    """Returns one modality's branch as a network of its own.

    Args:
        source: Its state dict.
        modality: The stream that it reads.
        name: Name of the network.
        largest: C of the score that it learned.

    Raises:
        CheckpointError: As `import_fusion`.
    """
    piece = read_branch(source, "")
    if piece.faults or piece.branch is None:
        raise CheckpointError(piece.faults)
    sizes, widths = piece.branch, {modality: piece.branch.inputs}
    made = _recipe({"model": f"branch:{modality}", "stages": sizes.stages, "width": sizes.width})
    shapes = _shapes(made, widths)
    (prefix,) = {key.removesuffix(FIRST) for key in shapes if key.endswith(FIRST)}
    state = _shaped(shapes, {prefix + key: value for key, value in piece.tensors.items()})
    networks = SavedNetworks(made, widths, [name], [ScaledTarget(largest)], [state])
    return Imported(networks, _parameters(state), 0, piece.notes)


def _disagreement(modality: str, piece: Piece, sizes: Sizes) -> list[str]:
    own = piece.branch
    if own is None or (own.width, own.stages) == (sizes.width, sizes.stages):
        return []
    what = f"width {own.width} and {own.stages} stages, the mixed branch {sizes.width} and {sizes.stages}"
    return [f"the {modality} branch has {what}: they are not of one network"]


def _recipe(settings: Mapping[str, Any]) -> Recipe:
    try:
        return recipe("released", **settings)
    except ValueError as error:
        raise CheckpointError([str(error)]) from error


def _shapes(made: Recipe, widths: Mapping[str, int]) -> dict[str, torch.Size]:
    """Returns the shapes of one network's tensors by name, without their memory."""
    with torch.device("meta"):
        network = build_network(made, widths, [0])
    return {name: value.shape for name, value in cut(network, 0).items()}


def _shaped(shapes: Mapping[str, torch.Size], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors in the preset's shapes: its linear maps are the release's convolutions of one tap."""
    return {name: tensors[name].reshape(shape).contiguous() for name, shape in shapes.items()}


def _parameters(state: Mapping[str, Tensor]) -> int:
    return sum(v.numel() for name, v in state.items() if not name.endswith((".running_mean", ".running_var")))
