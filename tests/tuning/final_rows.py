"""Rows of trials and candidates, for tests of the final stage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from planted_study import CONFIG, small_study

from pamfn.metrics import fisher_mean
from tuning.selection.choosing import Candidate, Choice
from tuning.study import Study

FIRST = {"fusion_nets": 4, "tau_init": 10.0, "lr": 5e-3, "stages": 3}
"""The first trial's configuration in the quick start."""

CANDIDATE = Candidate(rank=1, trial_id="0003", config=CONFIG, objective=0.4)
REFERENCE = Candidate(rank=0, trial_id="0000", config=FIRST, objective=None)


def choice(*candidates: Candidate, **changes: Any) -> Choice:
    """Returns a choice of candidates, by default of one that is not the reference."""
    values = {"reference": REFERENCE, "further_ties": 0, "trials": 12, "finished": 4, "luck": None}
    return Choice(candidates=candidates or (CANDIDATE,), **(values | changes))


def row(
    trial_id: str, scores: float | Sequence[float], reason: str = "finished", config: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Returns what came of a trial whose replicas have these scores."""
    each = [scores] * 4 if isinstance(scores, float) else list(scores)
    named = {f"Ball/fold{fold}/seed0": score for fold, score in enumerate(each)}
    # A learning rate of its own, so that no trial is the first one by chance.
    mine = config or CONFIG | {"lr": 1e-3 * (1 + sum(map(ord, trial_id)) / 1e4)}
    return {
        "trial_id": trial_id,
        "config": mine,
        "reason": reason,
        "val_spearman": fisher_mean(each),
        "scores": named,
    }


def two_classes(shards: Path, root: Path, *sets: str) -> Study:
    """Returns a small study of two classes."""
    return small_study(shards, root, "data.action=[Ball, Hoop]", *sets)
