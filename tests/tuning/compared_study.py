"""A study of models as its runs would tell it, for tests of the tables made of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tuning.domains import ChoiceDomain
from tuning.sections import Evaluation
from tuning.space_model import Space
from tuning.tracking import StudyResults, TrialResult

RG, FOLDS = ("Ball", "Clubs", "Hoop", "Ribbon"), 5
RATES = (0.3, 1.0, 3.0)
SCATTER = (0.06, -0.02, 0.01, -0.08, 0.03)
"""How far each fold is from the mean, on Fisher's z scale; sums to zero."""


def folds_of(level: float, classes: Sequence[str], scatter: Sequence[float] = SCATTER) -> dict[str, float]:
    """Scores by metric, on Fisher's z scale ``level`` plus 0.1 a class; a class that is alone has no name."""
    named = {
        f"val_spearman.{task}." if len(classes) > 1 else "val_spearman.": 0.1 * i for i, task in enumerate(classes)
    }
    return {
        f"{name}fold{i}": math.tanh(level + more + s) for name, more in named.items() for i, s in enumerate(scatter)
    }


def trial(number: int, values: Mapping[str, Any], folds: Mapping[str, float], **changes: Any) -> TrialResult:
    """A trial that ran its full budget."""
    score = math.tanh(sum(map(math.atanh, folds.values())) / max(1, len(folds))) if folds else math.nan
    told: dict[str, Any] = {
        "trial_id": f"t{number}",
        "name": f"trial {number}",
        "run_id": f"run{number}",
        "values": dict(values),
        "reason": "finished",
        "first": number == 0,
        "rung": 0,
        "score": score,
        "best": score,
        "epochs": 40,
        "seconds": 9.0,
        "curve": ((40, score),),
        "folds": dict(folds),
        "scalars": {"weight_count": 1_234_567.0},
    }
    return TrialResult(**{**told, **changes})


def space_of(setting: str, values: Sequence[Any], classes: Sequence[str] = RG, **changes: Any) -> Space:
    """A space that searches one setting and ``lr_scale``."""
    search = {"lr_scale": RATES, setting: tuple(values)}
    space = Space(
        search={name: ChoiceDomain(type="choice", values=values) for name, values in search.items()},
        fixed={"epochs": 40, "width": 16},
        evaluation=Evaluation(folds=FOLDS, seeds=3),
        **changes,
    )
    return space.model_copy(update={"data": space.data.model_copy(update={"action": tuple(classes)})})


def results_of(space: Space, trials: Sequence[TrialResult], modalities: Sequence[str] = ()) -> StudyResults:
    """A study with these trials."""
    there = tuple(modalities) or ("rgb", "flow", "audio")
    return StudyResults("models", "sqlite:///x.db", "1", "study", space, {}, tuple(trials), modalities=there)


def compared(
    levels: Mapping[Any, float], setting: str = "model", classes: Sequence[str] = RG, modalities: Sequence[str] = ()
) -> StudyResults:
    """A study whose every value was trained at three learning rates, of which the second is the best by 0.05 in z.

    The first value's folds scatter by themselves, so that a difference to it has an interval.
    """
    trials = []
    for number, (value, level) in enumerate(levels.items()):
        scatter = SCATTER if number else tuple(reversed(SCATTER))
        for rate, less in zip((1.0, 0.3, 3.0), (0.0, 0.05, 0.05), strict=True):
            values = {setting: value, "lr_scale": rate}
            trials.append(trial(len(trials), values, folds_of(level - less, classes, scatter)))
    return results_of(space_of(setting, tuple(levels), classes), trials, modalities)
