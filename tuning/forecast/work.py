"""The work of a configuration: its networks side by side, their steps, and the FLOPs of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch

from pamfn.architectures import step_flops as counted_flops
from pamfn.data.features import Contents, contents_of
from pamfn.phases.memory import replicas_at_once
from pamfn.phases.order import Order
from pamfn.phases.replica import Replica, whole_split
from pamfn.phases.report import milestone_epoch
from pamfn.recipe import Recipe
from tuning.study import Study
from tuning.study_data import replicas_of

SHAPING = (
    "model",
    "options",
    "msfd",
    "cmfd",
    "policy",
    "fusing_stages",
    "stages",
    "width",
    "fusion_nets",
    "msfd_heads",
    "cmfd_heads",
    "policy_layers",
    "fusion_design",
    "query_layers",
    "head_layers",
    "head_reduction",
    "phases",
    "fine_tuned",
    "fixed_branches",
    "mixed_start",
    "clip",
)
"""The settings that decide the FLOPs of one video in a step."""


@dataclass(frozen=True, eq=False)
class Networks:
    """The networks of one training: the replicas of a trial, or those of the final stage.

    Args:
        replicas: Who trains on what.
        contents: The training videos of the study, which the replicas' indices mean.
        widths: Feature width of each modality.
    """

    replicas: Sequence[Replica]
    contents: Contents
    widths: Mapping[str, int]

    def chunks(self, recipe: Recipe, device: torch.device) -> list[Sequence[Replica]]:
        """Returns the networks in the groups that train as one program each."""
        room = replicas_at_once(recipe, self.widths, len(self.replicas), device)
        return [self.replicas[first : first + room] for first in range(0, len(self.replicas), room)]

    def steps(self, recipe: Recipe, replicas: Sequence[Replica], progress: float) -> int:
        """Returns the steps of a group up to a share of its budget: those of the network that takes most."""
        return max(
            milestone_epoch(progress, recipe.epochs_of(r.task)) * self.steps_an_epoch(recipe, r) for r in replicas
        )

    def steps_an_epoch(self, recipe: Recipe, replica: Replica) -> int:
        """Returns the steps of one network's epoch."""
        lengths = self.contents.lengths[replica.train]
        return Order(replica.train, lengths, seed=0, batch_size=recipe.batch_size, clip=recipe.clip).steps


def networks_of_a_trial(study: Study, contents: Contents) -> Networks:
    """Returns the networks of a trial, as `tuning.study_data.training_data` cuts them; no features are read."""
    mine = _training_videos(study, contents)
    return Networks(replicas_of(study, mine), mine, _widths(study, contents))


def final_networks(study: Study, contents: Contents) -> Networks:
    """Returns the networks of one configuration of the final stage."""
    seeds, scored_on = study.space.final.seeds, "test" if study.space.final.top else None
    replicas = whole_split(contents, study.tasks, seeds=seeds, seed=study.seed, trained_on="train", scored_on=scored_on)
    return Networks(replicas, contents, _widths(study, contents))


def step_flops(recipe: Recipe, widths: Mapping[str, int]) -> int:
    """Returns the FLOPs of the matrix products of one network's phase-2 step.

    Every video and every FusionNet adds the same, so two counts tell of all; one takes a fifth of a second.
    """
    plain = Recipe(**{name: getattr(recipe, name) for name in SHAPING})
    if not recipe.has_fusion_nets:
        return recipe.batch_size * _flops(plain, tuple(widths.items()))
    one, two = (_flops(replace(plain, fusion_nets=nets), tuple(widths.items())) for nets in (1, 2))
    return recipe.batch_size * (one + (recipe.fusion_nets - 1) * (two - one))


@lru_cache(maxsize=256)
def _flops(recipe: Recipe, widths: tuple[tuple[str, int], ...]) -> int:
    return counted_flops(recipe, dict(widths), videos=1)


def lasting(recipe: Recipe) -> Recipe:
    """Returns a recipe with room for any number of measured epochs."""
    return replace(recipe, epochs=1000, phase1_epochs=1000)


def _training_videos(study: Study, contents: Contents) -> Contents:
    actions = {task.action for task in study.tasks}
    chosen = [i for i in contents.where(split="train").tolist() if contents.actions[i] in actions]
    return Contents(**contents_of(contents, chosen))


def _widths(study: Study, contents: Contents) -> dict[str, int]:
    return {name: contents.schema.modalities[name] for name in study.modalities}
