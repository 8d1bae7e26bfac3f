"""The pretrained branches that a study needs: how many there can be, how many are in the store, what they cost."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from torch import nn

from pamfn.architectures import outline
from pamfn.phases.branches import branch_settings
from pamfn.recipe import BRANCH_SETTINGS, Recipe
from pamfn.replicas.cut import entries
from tuning.domains import possible
from tuning.forecast.work import Networks
from tuning.pretraining import artefact_key
from tuning.storage import open_store
from tuning.study import Study

FLOAT = 4  # bytes
ENUMERATED = 200  # sets of branches whose keys are looked up; a space has few, or its branches are hardly shared


@dataclass(frozen=True)
class Artefacts:
    """The branches of a study's trials.

    A set is what one configuration needs: a branch for every modality of every network.

    Args:
        settings: Searched settings that tell sets apart.
        sets: Sets that the space allows, at most.
        drawn: Sets among as many random configurations as the study has trials, on average.
        each: Branches of a set.
        there: Branches of all these sets that are in the store already.
        size: Bytes of a set.
    """

    settings: tuple[str, ...]
    sets: int
    drawn: float
    each: int
    there: int
    size: int

    @property
    def missing(self) -> float:
        """Returns the sets that are yet to be trained, on average: those in the store are as likely drawn as others."""
        return self.drawn * (1 - self.there / (self.sets * self.each)) if self.sets else 0.0


def artefacts_of(study: Study, networks: Networks, recipes: Sequence[Sequence[Recipe]]) -> Artefacts:
    """Returns the branches that a study's trials need.

    Args:
        study: The study.
        networks: The networks of a trial.
        recipes: Several imagined studies' trials.
    """
    space = study.space
    settings = tuple(name for name in space.search if name in BRANCH_SETTINGS)
    two_phase = [[r for r in trials if r.phases == "two"] for trials in recipes]
    if not any(two_phase):
        return Artefacts((), 0, 0.0, 0, 0, 0)
    drawn = sum(len({_told_apart(recipe) for recipe in trials}) for trials in two_phase) / len(two_phase)
    sets = _sets(study, settings)
    largest = max((r for trials in two_phase for r in trials), key=lambda r: (r.width, r.stages))
    each = len(networks.replicas) * len(largest.streams(tuple(networks.widths)))
    there = sum(_there(study, networks, recipe) for recipe in sets[:ENUMERATED])
    return Artefacts(settings, len(sets), drawn, each, there, set_bytes(largest, networks))


def set_bytes(recipe: Recipe, networks: Networks) -> int:
    """Returns the bytes of one configuration's branches."""
    branches = entries(cast("nn.Module", outline(recipe, networks.widths).branches))
    return FLOAT * len(networks.replicas) * sum(tensor.numel() for _, _, _, tensor in branches)


def _sets(study: Study, settings: Sequence[str]) -> list[Recipe]:
    """Returns a recipe for each combination of the searched settings that branches depend on, each set once."""
    space, region = study.space, study.space.region
    first = space.first_point() | ({"phases": "two"} if "phases" in space.search else {})
    sets = {}
    for combination in itertools.product(*(possible(space.search[name]) for name in settings)):
        with suppress(ValueError):  # such as a width that the first point's heads do not divide
            recipe = space.recipe(region.canonical({**first, **dict(zip(settings, combination, strict=True))}))
            sets[_told_apart(recipe)] = recipe
    return list(sets.values())


def _there(study: Study, networks: Networks, recipe: Recipe) -> int:
    """Returns how many of one configuration's branches are in the store; nothing is read or made."""
    there = open_store(study.branch_store).names()
    read = recipe.streams(tuple(networks.widths))
    keys = (artefact_key(recipe, m, r, networks.contents) for m in read for r in networks.replicas)
    return sum(f"{key}.safetensors" in there for key in keys)


def _told_apart(recipe: Recipe) -> tuple[Any, ...]:
    return tuple(branch_settings(recipe).values())
