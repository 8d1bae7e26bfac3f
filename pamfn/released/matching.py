"""Layers of a released state dict found for the preset's: by name, and by shape where that leaves no doubt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from pamfn.released.parts import Leaf, Part

Layer = dict[str, Tensor]  # the tensors of one layer: weight, bias, and of a batch norm its running statistics


@dataclass
class Matching:
    """What was found.

    Attributes:
        names: Name of the released layer of every leaf that was found.
        doubtful: Leaves that could be either of several layers.
        faults: Every missing, unknown or misshapen key, and why a leaf is in doubt.
        notes: Which layers were told by their shapes.
    """

    names: dict[Leaf, str] = field(default_factory=dict)
    doubtful: set[Leaf] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def layers_of(state: Mapping[str, Tensor]) -> dict[str, Layer]:
    """Returns a state dict's tensors by layer; the name of a layer is empty for tensors without one."""
    layers: dict[str, Layer] = {}
    for key, value in state.items():
        name, _, own = key.rpartition(".")
        layers.setdefault(name, {})[own] = value
    return layers


def match(layers: Mapping[str, Layer], parts: Sequence[Part]) -> Matching:
    """Finds every leaf's layer.

    Where a part's names are not all as expected, the leaves and layers that are left are matched by their shapes, or
    failing that those of the whole part. Layers of one shape are told apart only if their names differ in numbers
    alone, which then say their order.

    Args:
        layers: What `layers_of` returned.
        parts: What is looked for.
    """
    found, owned = Matching(), _owned(layers, parts)
    expected = {part.prefix + leaf.theirs for part in parts for leaf in part.leaves if leaf.theirs}
    for part in parts:
        _match_part(part, {name: layers[name] for name in owned[part.prefix]}, found)
    spare = set(layers) - expected - set(found.names.values())
    spare -= {part.prefix + name for part in parts for name in part.unused}
    for part in parts:  # a layer of unknown name may stand elsewhere in its stage
        stage = part.prefix.partition(".")[0] + "."
        elsewhere = {name: layers[name] for name in spare if name.startswith(stage)}
        _match_nameless(part, elsewhere, found)
    for part in parts:
        found.faults += [fault for leaf in part.leaves for fault in _leaf_faults(part, leaf, layers, found)]
    unknown = sorted(spare - set(found.names.values()), key=_natural)
    found.faults += [f"{name}.{own}: unknown".lstrip(".") for name in unknown for own in layers[name]]
    return found


def _owned(names: Iterable[str], parts: Sequence[Part]) -> dict[str, list[str]]:
    """Returns the layers of every part by its prefix; a layer belongs to the part of the longest prefix it has."""
    owned: dict[str, list[str]] = {part.prefix: [] for part in parts}
    for name in names:
        prefixes = [prefix for prefix in owned if name.startswith(prefix)]
        if prefixes:
            owned[max(prefixes, key=len)].append(name)
    return owned


def _match_part(part: Part, layers: Mapping[str, Layer], found: Matching) -> None:
    """Finds a part's leaves among its layers."""
    named = {leaf: part.prefix + leaf.theirs for leaf in part.leaves if leaf.theirs}
    fitting = {leaf: name for leaf, name in named.items() if name in layers and fits(leaf, layers[name])}
    used = {name: layer for name, layer in layers.items() if name.removeprefix(part.prefix) not in part.unused}
    if len(fitting) < len(named):
        left = [leaf for leaf in part.leaves if leaf not in fitting]
        over = {name: layer for name, layer in used.items() if name not in fitting.values()}
        by_shape = _by_shape(left, over) or _by_shape(part.leaves, used)
        if by_shape:
            found.notes.append(f"{part.prefix[:-1]}: {', '.join(by_shape.values())}: each known by its shape")
            found.names |= fitting | by_shape
            return
    found.names |= fitting
    _match_nameless(part, {name: used[name] for name in set(used) - set(named.values())}, found)


def _match_nameless(part: Part, spare: Mapping[str, Layer], found: Matching) -> None:
    """Finds a part's leaves of unknown name among layers that no other leaf has."""
    for leaf in part.leaves:
        if leaf.theirs or leaf in found.names or leaf in found.doubtful:
            continue
        candidates = sorted((name for name, layer in spare.items() if fits(leaf, layer)), key=_natural)
        exact = [name for name in candidates if _shape(spare[name]["weight"]) == leaf.shape]
        candidates = exact or candidates
        if len(candidates) == 1:
            found.names[leaf] = candidates[0]
            found.notes.append(f"{candidates[0]}: taken for {leaf.what}, by its shape")
        elif candidates:
            found.doubtful.add(leaf)
            names = ", ".join(candidates)
            found.faults.append(f"{part.prefix[:-1]}: {leaf.what} could be any of {names}; take out those not used")


def _by_shape(leaves: Sequence[Leaf], layers: Mapping[str, Layer]) -> dict[Leaf, str] | None:
    """Returns the layer of every leaf by shape and order; None if layers are left, are missing, or could be swapped."""
    if Counter(map(_expected, leaves)) != Counter(map(_actual, layers.values())):
        return None
    chosen: dict[Leaf, str] = {}
    for kind in set(map(_expected, leaves)):
        names = sorted((name for name, layer in layers.items() if _actual(layer) == kind), key=_natural)
        if len({re.sub(r"\d+", "#", name) for name in names}) > 1:
            return None
        chosen |= zip((leaf for leaf in leaves if _expected(leaf) == kind), names, strict=True)
    in_order = {leaf: chosen[leaf] for leaf in leaves}
    return in_order if all(fits(leaf, layers[name]) for leaf, name in in_order.items()) else None


def fits(leaf: Leaf, layer: Layer) -> bool:
    """Tells whether a layer has a leaf's tensors in its shapes; a linear map may be a convolution of one tap."""
    if set(layer) != set(leaf.fields) or _bare(_shape(layer["weight"])) != _bare(leaf.shape):
        return False
    return all(_shape(layer[own]) == leaf.shape[:1] for own in leaf.fields[1:])


def _leaf_faults(part: Part, leaf: Leaf, layers: Mapping[str, Layer], found: Matching) -> list[str]:
    if leaf in found.names or leaf in found.doubtful:
        return []
    if not leaf.theirs:
        return [f"{part.prefix[:-1]}: {leaf.what} is missing: no weight of shape {leaf.shape}"]
    name = part.prefix + leaf.theirs
    layer = layers.get(name, {})
    faults = [f"{name}.{own}: missing" for own in leaf.fields if own not in layer]
    for own in leaf.fields:
        want = leaf.shape if own == "weight" else leaf.shape[:1]
        if own in layer and _bare(_shape(layer[own])) != _bare(want):
            faults.append(f"{name}.{own}: shape {_shape(layer[own])}, expected {want}")
    return faults + [f"{name}.{own}: unknown" for own in layer if own not in leaf.fields]


def _expected(leaf: Leaf) -> tuple[frozenset[str], tuple[int, ...]]:
    return frozenset(leaf.fields), leaf.shape


def _actual(layer: Layer) -> tuple[frozenset[str], tuple[int, ...]]:
    return frozenset(layer), _shape(layer["weight"]) if "weight" in layer else ()


def _bare(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:2] if len(shape) == 3 and shape[2] == 1 else shape


def _shape(value: Tensor) -> tuple[int, ...]:
    return tuple(value.shape)


def _natural(name: str) -> list[tuple[int, str]]:
    """Returns a key that puts numbers in their order: ``conv.9`` before ``conv.10``."""
    return [(int(piece), "") if piece.isdigit() else (0, piece) for piece in re.split(r"(\d+)", name)]
