"""A recipe as a network: the one place that looks up what a model's name stands for."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pamfn.baselines.alone import Alone
from pamfn.baselines.closed_networks import ClosedNetworks
from pamfn.model.outline import training_flops
from pamfn.recipe import Recipe, settings
from pamfn.replicas.cut import put

META = torch.device("meta")


def build_network(
    recipe: Recipe,
    widths: Mapping[str, int],
    seeds: Sequence[int],
    *,
    fusion_nets: Sequence[int] | None = None,
    tau_init: Sequence[float] | None = None,
    without: Sequence[str] = (),
) -> nn.Module:
    """Returns the stacked network of a recipe's model, which maps features by stream to an `Output`.

    Args:
        recipe: The settings.
        widths: Width of each stream's features, by name; those that the model does not read do not matter.
        seeds: Seed of each replica's initial weights.
        fusion_nets: K of each replica, where they differ.
        tau_init: Initial temperature of each replica, where they differ.
        without: Branches that are elsewhere: their feature maps are given with every batch.

    Raises:
        ValueError: If the settings, or the streams, do not fit the model.
    """
    model, widths = recipe.of, {name: widths[name] for name in recipe.streams(tuple(widths))}
    if model.kind == "closed":
        return ClosedNetworks(model.build(widths, **bound(recipe)), [{} for _ in seeds])
    if model.kind == "alone":
        build = partial(model.build, widths, **bound(recipe))
        return Alone(build, widths, seeds, standardise=recipe.standardise)
    of_replicas: dict[str, Any] = {"without": without}
    if recipe.has_fusion_nets:
        of_replicas |= {"fusion_nets": fusion_nets, "tau_init": tau_init}
    network: nn.Module = model.build(recipe, widths, seeds, **model.given, **of_replicas)
    return network


def trained_network(recipe: Recipe, widths: Mapping[str, int], states: Sequence[Mapping[str, Tensor]]) -> nn.Module:
    """Returns the stacked network of trained replicas.

    Args:
        recipe: The settings that they were trained with.
        widths: Width of each stream's features, by name.
        states: Weights and buffers of each, in plain shapes, as `pamfn.replicas.cut.cut` returns them.

    Raises:
        ValueError: If a state does not fit the network.
    """
    network = build_network(recipe, widths, [0] * len(states))
    if isinstance(network, ClosedNetworks):
        return ClosedNetworks(network.machine, states)
    for replica, state in enumerate(states):
        put(network, replica, state)
    return network


def outline(recipe: Recipe, widths: Mapping[str, int]) -> nn.Module:
    """Returns one network on the meta device; its weights are never in memory, however wide it is."""
    with META:  # of this thread alone
        network = build_network(recipe, widths, [0])
    return network.to(META)


def step_flops(recipe: Recipe, widths: Mapping[str, int], *, videos: int) -> int:
    """Returns the FLOPs of the matrix products of one training step of a network, after its branches' pretraining.

    Those of a model that is written for one network are not counted but taken to be one multiply-add a weight and
    segment, forward, and twice that backward; those of a closed form as if each feature of a segment were a weight.

    Args:
        recipe: The settings.
        widths: Width of each stream's features, by name.
        videos: Videos a batch.
    """
    network, read = outline(recipe, widths), recipe.streams(tuple(widths))
    if recipe.of.kind == "rows":
        fixed = [name for name in read if recipe.phases == "two" and name not in recipe.fine_tuned]
        return training_flops(network, {name: widths[name] for name in read}, recipe.clip, videos=videos, fixed=fixed)
    weights = sum(weight.numel() for weight in network.parameters()) or sum(widths[name] for name in read)
    return 6 * weights * recipe.clip * videos


def bound(recipe: Recipe) -> dict[str, Any]:
    """Returns the keyword arguments of a model that is written for one network: settings, options, what it is given."""
    model, own = recipe.of, {name.partition(".")[2]: value for name, value in recipe.options}
    names = [
        name
        for name, p in inspect.signature(model.build).parameters.items()
        if p.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    shared = {name: getattr(recipe, name) for name in names if name in settings()}
    return {**shared, **own, **model.given}
