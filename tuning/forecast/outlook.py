"""A study's forecast: many imagined studies, each drawing its own configurations and scores, and what they take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch

from pamfn.data.features import Contents
from pamfn.phases.report import milestone_epoch
from pamfn.recipe import Recipe
from tuning.forecast.artefacts import Artefacts, artefacts_of
from tuning.forecast.disk import Disk, disk_of
from tuning.forecast.draws import drawn, trials_of
from tuning.forecast.durations import Durations, Times
from tuning.forecast.halving import Course, imagine
from tuning.forecast.machine import Machine
from tuning.forecast.pace import Pace
from tuning.forecast.ranges import Range
from tuning.forecast.work import final_networks, networks_of_a_trial, step_flops
from tuning.study import Study

POOL = 24  # configurations that stand for all
STUDIES, MOST_TRIALS = 200, 400  # imagined studies; fewer where a study has very many trials
UNSURE = (0.75, 2.0)  # a step beside other trials takes this much of the measured one
START = Range(30.0, 15.0, 90.0)  # seconds


class Outlook:
    """What a study will take, if configurations are drawn at random and score at random.

    Args:
        study: The study.
        contents: What is known of its videos.
        machine: Where it would run.
    """

    def __init__(self, study: Study, contents: Contents, machine: Machine) -> None:
        self.study, self.machine, space = study, machine, study.space
        self.trials = trials_of(space)
        self.room = max(1, machine.trials_at_once(space.resources.cpu, space.resources.gpu))
        asked = space.budget.concurrent
        self.concurrent = self.room if asked == "auto" else min(int(asked), self.room)
        self.networks = networks_of_a_trial(study, contents)
        self.finals = final_networks(study, contents) if space.final.top else replace(self.networks, replicas=())
        self.first = space.recipe(space.first_point())
        self.pool = [self.first, *map(space.recipe, drawn(space, POOL, study.seed)[1:])]
        self.device = torch.device("cuda" if machine.gpus and space.resources.gpu != 0 else "cpu")

    @cached_property
    def flops(self) -> list[int]:
        """FLOPs of a step of one network, of each configuration in the pool; the first is the first point's."""
        return [step_flops(recipe, self.networks.widths) for recipe in self.pool]

    @property
    def costliest(self) -> Recipe:
        """The configuration with the most FLOPs a step of those drawn."""
        return self.pool[int(np.argmax(self.flops))]

    @property
    def largest(self) -> Recipe:
        """The configuration with the most weights of those drawn."""
        return max(self.pool, key=lambda r: (r.width, r.stages, r.fusion_nets))

    def rung_epochs(self, task: str) -> list[int]:
        """Returns the epochs of a class at which a trial like the first is judged."""
        return [milestone_epoch(share, self.first.epochs_of(task)) for share in self.study.rungs(self.first)]

    @property
    def unstopped(self) -> int:
        """Phase-2 epochs of the first class if no trial were stopped."""
        return self.trials * self.first.epochs_of(self.study.tasks[0].name)

    @cached_property
    def artefacts(self) -> Artefacts:
        """The branches that the trials need."""
        space, seeds = self.study.space, range(10)
        draws = [drawn(space, self._imagined, self.study.seed + seed) for seed in seeds]
        return artefacts_of(
            self.study, self.networks, [[space.recipe(config) for config in trials] for trials in draws]
        )

    def courses(self, pace: Pace | None) -> list[Course]:
        """Returns imagined studies; time in seconds where a pace was measured, otherwise in shares of the budget."""
        scheduler, legs = self.study.space.scheduler, self._legs(pace)
        reduction = scheduler.reduction if scheduler.type == "asha" else None
        courses = []
        for seed in range(max(20, min(STUDIES, 20_000 // self._imagined))):
            chosen = np.random.default_rng([self.study.seed, seed]).integers(len(legs), size=self._imagined - 1)
            mine = [legs[0], *(legs[i] for i in chosen)]
            courses.append(
                imagine(mine, reduction=reduction, mode=scheduler.mode, concurrent=self.concurrent, seed=seed)
            )
        return courses

    def epochs(self, courses: Sequence[Course]) -> Range:
        """Returns the phase-2 epochs of all trials, in those of the first class."""
        until = [0, *self.rung_epochs(self.study.tasks[0].name)]
        return self._range([sum(until[rungs] for rungs in course.reached) for course in courses])

    def finished(self, courses: Sequence[Course]) -> Range:
        """Returns the trials that run their full budget."""
        whole = len(self.study.rungs(self.first))
        return self._range([sum(rungs == whole for rungs in course.reached) for course in courses])

    def waiting(self, courses: Sequence[Course]) -> int:
        """Returns the most trials that wait for promotion at once."""
        return math.ceil(self._scale * max(course.waiting for course in courses))

    def candidates(self, courses: Sequence[Course]) -> tuple[int, int]:
        """Returns the fewest and the most configurations of the final stage: ties and the first point may be added."""
        final = self.study.space.final
        if not final.top:
            return 0, 0
        fewest = min(final.top, max(1, math.floor(self.finished(courses).low)))
        return fewest, min(final.top + final.ties + 1, self.trials)

    def times(self, pace: Pace, courses: Sequence[Course]) -> Times:
        """Returns the seconds that the study takes here."""
        durations, (fewest, most) = Durations(self.study, pace, self.device), self.candidates(courses)
        trials = self._range([course.seconds for course in courses]).widened(*UNSURE)
        branches = self._branches(durations)
        final = float(np.mean([durations.final(r, self.finals) for r in self.pool])) if most else 0.0
        low, high = (final * math.ceil(candidates / self.room) for candidates in (fewest, most))
        finals = Range((low + high) / 2, low, high).widened(*UNSURE)
        trial = float(np.mean([sum(legs) for legs in self._legs(pace)]))
        return Times(trial, branches, trials, finals, START, branches + trials + finals + START)

    def disk(self, courses: Sequence[Course]) -> Disk:
        """Returns the bytes that the study writes."""
        return disk_of(
            self.study,
            self.largest,
            self.networks,
            concurrent=self.concurrent,
            waiting=self.waiting(courses),
            finished=math.ceil(self.finished(courses).high),
            trials=self.trials,
            artefacts=self.artefacts,
            finals=self.finals,
            candidates=self.candidates(courses)[1],
        )

    def _legs(self, pace: Pace | None) -> list[list[float]]:
        """Returns the time of each configuration in the pool from rung to rung."""
        if pace is not None:
            durations = Durations(self.study, pace, self.device)
            return [durations.legs(recipe, self.networks) for recipe in self.pool]
        return [np.diff([0.0, *self.study.rungs(recipe)]).tolist() for recipe in self.pool]

    def _branches(self, durations: Durations) -> Range:
        """Returns the time of phase 1: the modalities of a set are trained by as many processes as there are trials."""
        trained = len(self.networks.widths) * self.artefacts.missing
        if not trained:
            return Range(0.0, 0.0, 0.0)
        seconds = durations.branches(self.first, self.networks) * trained / max(1.0, min(self.concurrent, trained))
        return Range(seconds, seconds, seconds).widened(*UNSURE)

    @property
    def _imagined(self) -> int:
        return min(self.trials, MOST_TRIALS)

    @property
    def _scale(self) -> float:
        """By how much a study is larger than the imagined ones."""
        return self.trials / self._imagined

    def _range(self, values: Sequence[float]) -> Range:
        return Range.of(values, self._scale)
