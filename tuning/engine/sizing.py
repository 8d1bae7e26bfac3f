"""How many engines a study has, and how many of its trials run at once on them."""

from __future__ import annotations

import sys

from pamfn.phases.memory import useful_rows
from tuning.cluster import Room
from tuning.study import Study

ON_A_CPU = 4  # trials of an engine; see benchmarks/study.py


def engines_of(study: Study, room: Room) -> int:
    """Returns how many engines a study starts: one a device, but no more than trials may run at once."""
    asked, concurrent = study.space.resources.devices, study.space.budget.concurrent
    devices = room.trials if asked == "auto" else int(asked)
    return devices if concurrent == "auto" else min(devices, int(concurrent))


def trials_at_once(study: Study, room: Room) -> int:
    """Returns how many trials run at once, where the study leaves it open.

    On an engine these are as many as fill its rows, and one more, so that a row which a trial leaves is taken at once.
    On a CPU they are four at most: the process that Tune keeps for each takes 1.4 s of the engines' processors.
    Without engines a trial has a place of its own.
    """
    budget, resources = study.space.budget, study.space.resources
    if budget.concurrent != "auto":
        return int(budget.concurrent)
    if resources.engine == "off":
        return room.trials
    rows = useful_rows(study.space.recipe(study.space.first_point()), "cuda" if room.gpu else "cpu")
    each = min(-(-rows // len(study.replica_names())) + 1, sys.maxsize if room.gpu else ON_A_CPU)
    return min(budget.trials, engines_of(study, room) * each)
