"""A recipe as a network: the one place that looks up what a model's name stands for."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from torch import nn

from pamfn.baselines.alone import Alone
from pamfn.recipe import Recipe, settings


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
        widths: Width of each stream's features, by name; those that the model reads.
        seeds: Seed of each replica's initial weights.
        fusion_nets: K of each replica, where they differ.
        tau_init: Initial temperature of each replica, where they differ.
        without: Branches that are elsewhere: their feature maps are given with every batch.

    Raises:
        ValueError: If the settings, or the streams, do not fit the model.
    """
    model = recipe.of
    if model.kind == "alone":
        arguments = bound(recipe)
        return Alone(partial(model.build, dict(widths), **arguments), seeds)
    of_replicas: dict[str, Any] = {"without": without}
    if recipe.has_fusion_nets:
        of_replicas |= {"fusion_nets": fusion_nets, "tau_init": tau_init}
    network: nn.Module = model.build(recipe, widths, seeds, **model.given, **of_replicas)
    return network


def bound(recipe: Recipe) -> dict[str, Any]:
    """Returns the keyword arguments of a model that is written for one network: settings, options, what it is given."""
    model, own = recipe.of, {name.partition(".")[2]: value for name, value in recipe.options}
    names = [
        name for name, p in inspect.signature(model.build).parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    shared = {name: getattr(recipe, name) for name in names if name in settings()}
    return {**shared, **own, **model.given}
