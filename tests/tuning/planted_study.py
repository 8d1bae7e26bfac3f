"""Studies on a tiny planted set, small enough to train in a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tuning.request import parse, requested_study
from tuning.study import Study
from tuning.trial import Trial

CONFIG = {"fusion_nets": 3, "tau_init": 10.0, "lr": 5e-3, "stages": 2}

SMALL = (
    *("data.action=Ball", "evaluation.folds=2", "evaluation.group=null", "evaluation.every=1"),
    *("fixed.width=8", "fixed.epochs=9", "fixed.phase1_epochs=2", "scheduler.grace_epochs=1", "final.seeds=2"),
)
"""Two networks a trial, rungs at epochs 1, 3 and 9."""


def words(shards: Path, root: Path, *sets: str) -> list[str]:
    """Returns a command line of a small study; ``sets`` come last and win."""
    changes = [word for change in (*SMALL, *sets) for word in ("--set", change)]
    return ["--space", "quickstart.yaml", "--data", str(shards), "--storage", str(root), *changes]


def small_study(shards: Path, root: Path, *sets: str) -> Study:
    """Returns a small study."""
    return requested_study(parse(words(shards, root, *sets)))[0]


def results(trial: Trial) -> list[dict[str, Any]]:
    """Trains a trial to its end and returns every result."""
    told = [trial.advance()]
    while not told[-1]["done"]:
        told.append(trial.advance())
    return told


def ran(study: Study, **changes: Any) -> list[dict[str, Any]]:
    """Returns all results of a configuration."""
    return results(Trial(study, CONFIG | changes))


def timeless(result: dict[str, Any]) -> dict[str, Any]:
    """Returns what of a result does not depend on the hour, or on who trained the branches."""
    varying = ("train_seconds", "attempt", "branches_trained", "branches_loaded", "branch_seconds", "node")
    return {name: value for name, value in result.items() if name not in varying}
