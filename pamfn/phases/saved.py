"""Trained networks on disk: weights as safetensors, everything needed to score with them as JSON; no pickles."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pamfn.architectures import trained_network
from pamfn.phases.target import QuantileTarget, ScaledTarget, Target
from pamfn.recipe import Recipe

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

    def network(self, device: torch.device | str = "cpu") -> nn.Module:
        """Returns all of them as one stacked network in evaluation mode."""
        return trained_network(self.recipe, self.widths, self.states).to(device).eval()


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
        "targets": [_described(target) for target in networks.targets],
    }
    text = folder / f".{DESCRIPTION}.tmp"
    text.write_text(json.dumps(description, indent=1), encoding="utf-8")
    text.replace(folder / DESCRIPTION)


def load_networks(folder: Path) -> SavedNetworks:
    """Reads what `save_networks` wrote.

    Raises:
        ValueError: If the folder does not hold networks of this version; one line that names the file.
    """
    description = _description(folder / DESCRIPTION)
    try:
        tensors = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{folder / WEIGHTS}: cannot be read as weights ({error})") from error
    try:
        return SavedNetworks(
            recipe=_recipe(description["recipe"]),
            widths=dict(description["widths"]),
            names=list(description["names"]),
            targets=[_target(target) for target in description["targets"]],
            states=[_below(tensors, f"{i}/") for i in range(len(description["names"]))],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{folder / DESCRIPTION}: does not describe networks ({error})") from error


def _description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error
    version = description.get("version") if isinstance(description, dict) else None
    if version != VERSION:
        raise ValueError(f"{path}: version {version!r} is not {VERSION}")
    return dict(description)


def _recipe(values: Mapping[str, Any]) -> Recipe:
    kept: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return Recipe(**kept)


def _described(target: Target) -> dict[str, Any]:
    if isinstance(target, ScaledTarget):
        return {"kind": "scaled", "largest": target.largest}
    if isinstance(target, QuantileTarget):
        return {"kind": "quantile", "scores": target.scores, "quantiles": target.quantiles}
    raise TypeError(f"target: {type(target).__name__} cannot be saved")


def _target(values: Mapping[str, Any]) -> Target:
    if values["kind"] == "scaled":
        return ScaledTarget(values["largest"])
    return QuantileTarget(tuple(values["scores"]), tuple(values["quantiles"]))


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
