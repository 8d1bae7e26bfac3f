"""A small study and the results of its trials, for tests of what is made of them."""

from __future__ import annotations

import functools
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tuning.domains import ChoiceDomain, FloatDomain, IntDomain
from tuning.sections import Scheduler
from tuning.space_model import Space
from tuning.study import Study, Task
from tuning.tracking import StudyRecord, StudyResults, Tracker, read_study

RUNGS = (2, 6, 18)


def study(folder: Path, *, name: str = "small", tasks: tuple[str, ...] = ("total",)) -> Study:
    """A study whose storage lies in a folder."""
    space = Space(
        search={
            "fusion_nets": IntDomain(type="int", low=2, high=12),
            "lr": FloatDomain(type="float", low=1e-4, high=2e-3, log=True),
            "stages": ChoiceDomain(type="choice", values=(2, 3, 4)),
            "tau_init": FloatDomain(type="float", low=1.0, high=20.0, log=True),
        },
        fixed={"epochs": RUNGS[-1], "width": 16},
        scheduler=Scheduler(grace_epochs=RUNGS[0]),
    )
    space = space.model_copy(update={"data": space.data.model_copy(update={"path": "/data/shards/rg"})})
    return Study(
        name=name,
        space=space,
        tasks=tuple(Task(task, "total", task) for task in tasks),
        modalities=("rgb", "flow", "audio"),
        data="/data/shards/rg",
        digest="0123456789abcdef" * 4,
        root=str(folder / "studies"),
        tracking_uri=f"sqlite:///{folder / 'mlflow.db'}",
    )


@functools.cache
def empty_database() -> bytes:
    """A database as MLflow makes it; making it takes seconds, copying it nothing."""
    with tempfile.TemporaryDirectory() as folder:
        made = study(Path(folder), name="made")
        Tracker(made.tracking_uri, StudyRecord.of(made)).end_study("finished")
        return (Path(folder) / "mlflow.db").read_bytes()


def tracked(
    folder: Path, *, resume: bool = False, note: Callable[[str], None] = lambda _: None, **changes: Any
) -> Tracker:
    """A tracker of a study on the database of a folder."""
    database = folder / "mlflow.db"
    if not database.exists():
        database.write_bytes(empty_database())
    made = study(folder, **changes)
    return Tracker(made.tracking_uri, StudyRecord.of(made), resume=resume, note=note)


def told_by(tracker: Tracker) -> StudyResults:
    """What MLflow holds of a tracker's study, once it has all of it."""
    tracker.settle()
    return read_study(tracker.uri, tracker.record.name)


def config(number: int) -> dict[str, Any]:
    """The configuration of a trial; that of number 0 is the paper's."""
    if number == 0:
        return {"fusion_nets": 10, "lr": 5e-4, "stages": 3, "tau_init": 10.0}
    return {"fusion_nets": 2 + number, "lr": 1e-4 * (number + 0.123456789), "stages": 2 + number % 3, "tau_init": 1.5}


def point(epoch: int, score: float, tasks: tuple[str, ...] = ("total",)) -> dict[str, Any]:
    """A point of a learning curve, two folds a task, the second a little better."""
    scores = {f"{task}/fold{fold}/seed0": score + 0.02 * fold for task in tasks for fold in range(2)}
    return {"epoch": epoch, "progress": epoch / RUNGS[-1], "val_spearman": score, "loss": 0.1, "scores": scores}


def result(rung: int, *, peak: float = 0.6, tasks: tuple[str, ...] = ("total",), **changes: Any) -> dict[str, Any]:
    """The result at a rung, with the curve since the rung before."""
    start = 0 if rung == 0 else RUNGS[rung - 1]
    curve = [point(epoch, peak * (1 - math.exp(-epoch / 4)), tasks) for epoch in range(start + 1, RUNGS[rung] + 1)]
    last = curve[-1]["val_spearman"]
    values = {
        "val_spearman": last,
        "epoch": RUNGS[rung],
        "progress": RUNGS[rung] / RUNGS[-1],
        "rung": rung,
        "curve": curve,
        "curve_start": start,
        "best_val_spearman": last,
        "status_reason": "",
        "attempt": 0,
        "device": "cpu",
        "parameters": 123_456,
        "train_seconds": 1.5 * RUNGS[rung],
        "branches_trained": 0,
        "branches_loaded": 6,
    }
    return values | changes


def run_trials(tracker: Tracker, count: int = 8, tasks: tuple[str, ...] = ("total",)) -> None:
    """Tells a tracker of trials of which the first and every third finish, one fails and the others are stopped."""
    for number in range(count):
        trial = f"t{number}"
        tracker.trial_started(trial, config(number))
        tracker.trial_reported(trial, result(0, peak=0.4 + 0.03 * number, tasks=tasks))
        if number == 1:
            tracker.trial_ended(trial, "failed: diverged: total/fold1/seed0")
        elif number % 3:
            tracker.trial_ended(trial, "stopped at rung 0")
        else:
            for rung in (1, 2):
                tracker.trial_reported(trial, result(rung, peak=0.4 + 0.03 * number, tasks=tasks))
            tracker.trial_ended(trial, "finished")
    tracker.settle()
