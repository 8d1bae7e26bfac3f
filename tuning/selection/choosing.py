"""What goes into the final stage: the best configurations by their held-out folds, near ties, and a reference."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pamfn.recipe import Recipe
from tuning.score_metric import SPEARMAN, ScoreMetric
from tuning.selection.luck import Flattery, flattery
from tuning.study import Study

REFERENCE = "reference"  # trial id of a reference that no trial has tried

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Candidate:
    """A configuration that is trained in the final stage.

    Args:
        rank: 1 for the best; 0 for a reference that is not among the best.
        trial_id: Its trial.
        config: Values of the searched settings.
        objective: Its score at the last rung, the full budget; None for a reference that never got there.
        tie: Whether it is kept only because the noise of the folds cannot tell it from the last of the best.
    """

    rank: int
    trial_id: str
    config: dict[str, Any]
    objective: float | None
    tie: bool = False


@dataclass(frozen=True)
class Choice:
    """What was chosen before the test split was opened.

    Args:
        candidates: The best configurations, then those tied with the last of them.
        reference: The first trial's configuration, the paper's by default; one of the candidates if it is among them.
        further_ties: Configurations that are tied as well and not kept.
        trials: Trials that the study began.
        finished: Trials that ran their full budget, among which was chosen.
        luck: By how much the best one's score is likely to flatter it; None where that cannot be told.
    """

    candidates: tuple[Candidate, ...]
    reference: Candidate
    further_ties: int
    trials: int
    finished: int
    luck: Flattery | None

    @property
    def trained(self) -> tuple[Candidate, ...]:
        """All configurations to train, each once."""
        known = {candidate.trial_id for candidate in self.candidates}
        return self.candidates + (() if self.reference.trial_id in known else (self.reference,))

    def digest(self, seeds: int, seed: int) -> str:
        """Returns what tells this choice from every other: its configurations, and the seeds they are trained with."""
        chosen = [{"trial_id": c.trial_id, "config": c.config} for c in self.trained]
        content = {"configurations": chosen, "reference": self.reference.trial_id, "seeds": seeds, "seed": seed}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def choose(study: Study, rows: Sequence[Row]) -> Choice | None:
    """Returns what the final stage trains; None if that is nothing.

    Args:
        study: The study; its ``final.top`` says how many, ``final.ties`` how many ties more.
        rows: One a trial, with ``trial_id``, ``config``, ``reason`` and, of one that finished, ``val_spearman`` and the
            ``scores`` of its replicas by name.
    """
    top, ties = study.space.final.top, study.space.final.ties
    done = [r for r in rows if r["reason"] == "finished" and math.isfinite(r["val_spearman"])]
    done.sort(key=lambda r: (-r["val_spearman"], r["trial_id"]))
    if not top or not done:
        return None
    tied = [r for r in done[top:] if is_tie(done[top - 1], r, study.metric)]
    best = [(r, False) for r in done[:top]] + [(r, True) for r in tied[:ties]]
    candidates = tuple(_candidate(rank, r, tie=tie) for rank, (r, tie) in enumerate(best, start=1))
    return Choice(
        candidates=candidates,
        reference=_reference(study, rows, candidates),
        further_ties=len(tied[ties:]),
        trials=len(rows),
        finished=len(done),
        luck=flattery([r.get("scores") or {} for r in done], study.seed, study.metric),
    )


def is_tie(better: Row, worse: Row, metric: ScoreMetric = SPEARMAN) -> bool:
    """Tells whether the noise of the folds cannot tell two trials apart: the one-standard-error rule.

    Both have a score of every replica, on the same videos with the same seeds. The mean of the paired differences, on
    the scale on which scores are averaged, must be no larger than its own standard error. Without the same replicas
    nothing is tied.
    """
    ours, theirs = better.get("scores") or {}, worse.get("scores") or {}
    if len(ours) < 2 or set(ours) != set(theirs):
        return False
    gaps = metric.scaled([ours[name] for name in ours]) - metric.scaled([theirs[name] for name in ours])
    return bool(gaps.mean() <= gaps.std(ddof=1) / math.sqrt(len(gaps)))


def _candidate(rank: int, row: Row, *, tie: bool) -> Candidate:
    return Candidate(rank, row["trial_id"], dict(row["config"]), row["val_spearman"], tie)


def _reference(study: Study, rows: Sequence[Row], candidates: Sequence[Candidate]) -> Candidate:
    """Returns the first trial's configuration, under the trial that has tried it if there is one."""
    point = study.space.region.canonical(study.space.first_point())
    first = study.space.recipe(point)
    if among := next((c for c in candidates if study.space.recipe(c.config) == first), None):
        return among
    row = next((r for r in rows if _is(study, r, first)), None)
    if row is None:
        return Candidate(0, REFERENCE, dict(point), None)
    objective = row["val_spearman"] if row["reason"] == "finished" and math.isfinite(row["val_spearman"]) else None
    return Candidate(0, row["trial_id"], dict(row["config"]), objective)


def _is(study: Study, row: Row, recipe: Recipe) -> bool:
    return bool(row["config"]) and study.space.recipe(row["config"]) == recipe
