"""Trained networks on disk: weights as safetensors, everything needed to score with them as JSON; no pickles."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pamfn.model.network import PAMFN
from pamfn.phases.target import QuantileTarget, ScaledTarget, Target
from pamfn.recipe import Recipe
from pamfn.replicas.cut import put

WEIGHTS, DESCRIPTION, VERSION = "networks.safetensors", "networks.json", 1


@dataclass(frozen=True)
class SavedNetworks:
    """Networks of one shape, such as a configuration's replicas over classes and seeds.

    Args:
        recipe: Their settings.
        widths: Feature width of each modality.
        names: Name of each network.
        targets: What each learned to predict; turns its outputs into the annotators' unit.
        states: State dict of each network, plain shapes.
    """

    recipe: Recipe
    widths: dict[str, int]
    names: list[str]
    targets: list[Target]
    states: list[dict[str, Tensor]]

    def network(self, device: torch.device | str = "cpu") -> PAMFN:
        """Returns all of them as one stacked network in evaluation mode."""
        network = PAMFN(self.recipe, self.widths, [0] * len(self.states))
        for replica, state in enumerate(self.states):
            put(network, replica, state)
        return network.to(device).eval()


def save_networks(folder: Path, networks: SavedNetworks) -> None:
    """Writes networks into a folder, each file under a temporary name first."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"{i}/{name}": v.contiguous() for i, state in enumerate(networks.states) for name, v in state.items()}
    weights = folder / f".{WEIGHTS}.tmp"
    save_file(tensors, weights)
    weights.replace(folder / WEIGHTS)
    description = {
        "version": VERSION,
        "recipe": dataclasses.asdict(networks.recipe),
        "widths": networks.widths,
        "names": networks.names,
        "targets": [{"kind": _KINDS[type(t)], **dataclasses.asdict(t)} for t in networks.targets],  # type: ignore[call-overload, index]
    }
    text = folder / f".{DESCRIPTION}.tmp"
    text.write_text(json.dumps(description, indent=1), encoding="utf-8")
    text.replace(folder / DESCRIPTION)


def load_networks(folder: Path) -> SavedNetworks:
    """Reads what `save_networks` wrote.

    Raises:
        ValueError: If the folder does not hold networks of this version; one line that names the file.
    """
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        tensors = load_file(folder / WEIGHTS)
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"{folder}: no readable networks ({error})") from error
    if description.get("version") != VERSION:
        raise ValueError(f"{folder / DESCRIPTION}: version {description.get('version')!r} is not {VERSION}")
    names = description["names"]
    return SavedNetworks(
        recipe=_recipe(description["recipe"]),
        widths=description["widths"],
        names=names,
        targets=[_target(target) for target in description["targets"]],
        states=[_below(tensors, f"{i}/") for i in range(len(names))],
    )


_KINDS = {ScaledTarget: "scaled", QuantileTarget: "quantile"}


def _recipe(values: Mapping[str, Any]) -> Recipe:
    return Recipe(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _target(values: Mapping[str, Any]) -> Target:
    if values["kind"] == "scaled":
        return ScaledTarget(values["largest"])
    return QuantileTarget(tuple(values["scores"]), tuple(values["quantiles"]))


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
