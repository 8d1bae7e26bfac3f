"""How long a configuration takes: its steps and its scoring at a measured pace, phase by phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pamfn.recipe import Recipe
from tuning.forecast.pace import Pace
from tuning.forecast.ranges import Range
from tuning.forecast.work import Networks, step_flops
from tuning.study import Study


@dataclass(frozen=True)
class Times:
    """Seconds that a study takes on this machine, whole and in parts.

    Args:
        trial: A trial of mean cost that runs its full budget, phase 2 alone.
        branches: Phase 1 of all trials.
        trials: Phase 2 of all trials, as many at once as may be.
        final: The final stage.
        start: Ray, processes and MLflow.
        total: All of them.
    """

    trial: float
    branches: Range
    trials: Range
    final: Range
    start: Range
    total: Range


@dataclass(frozen=True, eq=False)
class Durations:
    """The time of trainings at a pace.

    Args:
        study: The study.
        pace: How fast the machine trains.
        device: What it trains on.
    """

    study: Study
    pace: Pace
    device: torch.device

    def legs(self, recipe: Recipe, networks: Networks) -> list[float]:
        """Returns the seconds of a trial's phase 2 from rung to rung, scoring at its milestones included."""
        spent = [0.0, *(self._spent(recipe, networks, share) for share in self.study.rungs(recipe))]
        return [after - before for before, after in zip(spent, spent[1:], strict=False)]

    def branches(self, recipe: Recipe, networks: Networks) -> float:
        """Returns the seconds of phase 1 of one modality, all networks side by side."""
        steps = max(networks.steps_an_epoch(recipe, replica) for replica in networks.replicas)
        flops = step_flops(recipe, networks.widths) * len(networks.replicas)
        return steps * recipe.phase1_epochs * self.pace.branch * self.pace.step(flops)

    def final(self, recipe: Recipe, networks: Networks) -> float:
        """Returns the seconds of one configuration of the final stage, scoring at its milestones included."""
        phase1 = len(networks.widths) * self.branches(recipe, networks) if recipe.phases == "two" else 0.0
        return phase1 + self._spent(recipe, networks, 1.0)

    def _spent(self, recipe: Recipe, networks: Networks, share: float) -> float:
        """Returns the seconds of phase 2 up to a share of its budget."""
        scorings, seconds = sum(milestone <= share for milestone in self.study.milestones(recipe)), 0.0
        for chunk in networks.chunks(recipe, self.device):
            videos = max(len(replica.valid) for replica in chunk)
            steps = networks.steps(recipe, chunk, share) + scorings * videos * self.pace.scoring
            seconds += self._steps(recipe, networks, chunk, steps)
        return seconds

    def _steps(self, recipe: Recipe, networks: Networks, chunk: Sequence[object], steps: float) -> float:
        return steps * self.pace.step(step_flops(recipe, networks.widths) * len(chunk))
