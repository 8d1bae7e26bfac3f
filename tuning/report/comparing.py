"""What a study compares: the values of one setting, such as models, each at the best that its small search found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuning.conditions import matters
from tuning.domains import ChoiceDomain, same_value
from tuning.score_metric import ScoreMetric
from tuning.space_model import Space
from tuning.tasks import task_names
from tuning.tracking import StudyResults, TrialResult
from tuning.tracking.names import legal

MODEL, RATE = "model", "lr_scale"

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Entry:
    """One value of what is compared.

    Args:
        value: The value.
        best: Of its trials that ran their full budget, the one with the highest mean over folds; None without any.
        tried: How many it was chosen from.
        waiting: Why its other trials have no say: each one's ``status_reason``, ``running`` for one that runs.
        z_CJ: The best trial's scores, seeds averaged, shape (classes, folds); None if not whole. Correlations are on
            Fisher's z scale, mean average precisions as they are.
    """

    value: Any
    best: TrialResult | None
    tried: int
    waiting: tuple[str, ...]
    z_CJ: Array | None

    @property
    def z_J(self) -> Array | None:
        """The average over classes of every fold: classes may share their videos, so a fold counts once."""
        return None if self.z_CJ is None else self.z_CJ.mean(0)


@dataclass(frozen=True, eq=False)
class Comparison:
    """All values of what a study compares.

    Args:
        setting: The setting.
        classes: The classes, by which scores are told.
        entries: One a value, in the order of the space file.
        reference: The first trial's, which the others are held against.
        fisher: Whether scores are correlations, on Fisher's z scale; else mean average precisions.
    """

    setting: str
    classes: tuple[str, ...]
    entries: tuple[Entry, ...]
    reference: Entry
    fisher: bool = True


def compared(space: Space) -> str | None:
    """Returns the setting whose values a study compares: ``model``, or a choice that only ``lr_scale`` goes with."""
    if MODEL in space.search:
        return MODEL
    others = [name for name, domain in space.search.items() if name != RATE and isinstance(domain, ChoiceDomain)]
    return others[0] if RATE in space.search and len(others) == 1 and len(space.search) == 2 else None


def comparison(results: StudyResults) -> Comparison | None:
    """Returns what a study compares; None if it is no comparison, or no trial has a score yet."""
    setting = compared(results.space)
    domain = results.space.search[setting] if setting else None
    if setting is None or not isinstance(domain, ChoiceDomain) or len(domain.values) < 2:
        return None
    labels = labels_of(results)
    if not labels:
        return None
    entries = tuple(_entry(results, setting, value, labels) for value in domain.values)
    first = results.space.first_point()[setting]
    reference = next(entry for entry in entries if same_value(entry.value, first))
    return Comparison(setting, _classes(results.space, labels), entries, reference, results.metric.fisher)


def chosen(space: Space, setting: str, best: TrialResult) -> dict[str, Any]:
    """Returns the searched settings beside what is compared that mattered to a trial, with the values it had."""
    others = [name for name in space.search if name != setting]
    return {name: best.values[name] for name in others if matters(name, space.search, best.values)}


def _entry(results: StudyResults, setting: str, value: Any, labels: Sequence[str]) -> Entry:
    mine = [trial for trial in results.trials if same_value(trial.values.get(setting), value)]
    scored = {trial.trial_id for trial in results.ranked() if trial.finished}
    finished = [trial for trial in mine if trial.trial_id in scored]
    best = max(finished, key=lambda trial: trial.score, default=None)
    waiting = tuple(trial.reason or "running" for trial in mine if trial.trial_id not in scored)
    return Entry(value, best, len(finished), waiting, scores_by_fold(best, labels, results.metric))


def scores_by_fold(trial: TrialResult | None, labels: Sequence[str], metric: ScoreMetric) -> Array | None:
    """Returns a trial's scores by class and fold, on the scale of their averages; None if a fold of a class lacks."""
    if trial is None:
        return None
    found: dict[str, dict[int, float]] = {label: {} for label in labels}
    for name, score in trial.folds.items():
        if (match := metric.fold_in(name)) and (match["task"] or "") in found:
            found[match["task"] or ""][int(match["fold"])] = float(metric.scaled(score))
    folds = sorted(next(iter(found.values()), {}))
    if not folds or any(sorted(mine) != folds for mine in found.values()):
        return None
    return np.array([[mine[fold] for fold in folds] for mine in found.values()])


def labels_of(results: StudyResults) -> tuple[str, ...]:
    """Returns the classes as the metrics name them, in the space file's order, others behind by alphabet."""
    matches = (results.metric.fold_in(name) for trial in results.trials for name in trial.folds)
    there = sorted({match["task"] or "" for match in matches if match})
    asked = [legal(name) for name in _asked(results.space)]
    return tuple(sorted(there, key=lambda name: (asked.index(name) if name in asked else len(asked), name)))


def _classes(space: Space, labels: Sequence[str]) -> tuple[str, ...]:
    """Returns the classes' names for reading; the metrics do not name a class that is alone."""
    return tuple(label or _asked(space)[0] or "score" for label in labels)


def _asked(space: Space) -> tuple[str, ...]:
    return task_names(space.data.action or ("",), space.data.score or ("",))
