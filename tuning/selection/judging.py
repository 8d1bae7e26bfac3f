"""The verdict on the test split: the final networks of the last epoch, per class and on average, and what to compare.

``final.json`` holds it; its rows are a configuration each, with

- ``models``: the fusion and every single branch: score, 95% interval over videos, deviation over seeds, and for a
  branch ``fusion_gain``, how far the fusion is above it;
- ``optimistic``: the released protocol's number from the same networks, the best epoch on the test split;
- ``difference``: to the reference, over other videos and other seeds; None for the reference itself.

Each of these holds ``average``, the metric's over the classes, and ``classes``; a score stands under the name of the
study's metric, ``spearman`` or ``map``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pamfn.phases.objective import objective_of
from pamfn.phases.replica import whole_split
from pamfn.phases.saved import load_networks
from pamfn.phases.scoring import predict
from pamfn.published import published
from tuning.score_metric import MAP, ScoreMetric
from tuning.selection.choosing import Candidate, Choice
from tuning.selection.comparing import Measured, difference, gain
from tuning.selection.measuring import AVERAGE, by_class
from tuning.selection.openings import Opening
from tuning.selection.predictions import PREDICTIONS, write_predictions, write_segments
from tuning.selection.training import folder_of, load_branches, read_curve
from tuning.study import Study
from tuning.study_data import split_data

RESULTS = "final.json"

Models = dict[str, dict[str, Measured]]
"""By model, then by class, with their average under ``AVERAGE``."""


def judge(study: Study, choice: Choice, opening: Opening, failed: Sequence[str] = ()) -> dict[str, Any]:
    """Scores the final networks on the test split and writes ``final.json``; returns what it holds.

    Args:
        study: The study.
        choice: What was chosen.
        opening: The opening that was recorded for it.
        failed: Trials that could not be trained; they are left out.
    """
    contents, bank = split_data(study, ("test",), "cpu")
    replicas = whole_split(
        contents, study.tasks, seeds=study.space.final.seeds, seed=study.seed, trained_on=None, scored_on="test"
    )
    models: dict[str, Models] = {}
    for candidate in [c for c in choice.trained if c.trial_id not in failed]:
        folder = folder_of(study, candidate)
        study.kept.fetch_folder(folder)
        networks = load_networks(folder)
        videos = [replica.valid for replica in replicas]
        said = objective_of(networks.recipe).said
        scores = {"fusion": predict(networks.network(bank.device), bank, videos, said=said)}
        scores |= {m: predict(b, bank, videos, said=said) for m, b in load_branches(folder, networks)}
        models[candidate.trial_id] = {
            m: by_class(mine, replicas, bank, study.metric, study.seed) for m, mine in scores.items()
        }
        if study.metric == MAP:
            write_segments(folder / PREDICTIONS, contents.video_ids, scores["fusion"], replicas, bank)
        else:
            write_predictions(folder / PREDICTIONS, contents.video_ids, networks, scores["fusion"], replicas)
        study.kept.keep_folder(folder, replace=True)
    result = _result(study, choice, opening, models)
    path = study.folder / RESULTS
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=1), encoding="utf-8")
    temporary.replace(path)
    study.kept.keep(path)
    return result


def read_results(study: Study) -> dict[str, Any] | None:
    """Returns what an earlier run of this study found when it opened the test split; None if it has not."""
    path = study.folder / RESULTS
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _result(study: Study, choice: Choice, opening: Opening, models: Mapping[str, Models]) -> dict[str, Any]:
    beside = models.get(choice.reference.trial_id)
    rows = {
        c.trial_id: _row(study, c, models[c.trial_id], None if c == choice.reference else beside)
        for c in choice.trained
        if c.trial_id in models
    }
    figures = published([task.name for task in study.tasks])
    return {
        "opening": opening,
        "metric": study.metric.name,
        "seeds": study.space.final.seeds,
        "selection": {
            "trials": choice.trials,
            "finished": choice.finished,
            "ties_not_kept": choice.further_ties,
            "luck": asdict(choice.luck) if choice.luck else None,
        },
        "paper": study.space.first == "paper" and bool(study.space.search),  # a winner launched again is fixed in all
        "published": asdict(figures) if figures else None,
        "candidates": [rows[c.trial_id] for c in choice.candidates if c.trial_id in rows],
        "reference": rows.get(choice.reference.trial_id),
    }


def _row(study: Study, candidate: Candidate, models: Models, beside: Models | None) -> dict[str, Any]:
    fusion = models["fusion"]
    told = {name: _told({key: part.told() for key, part in mine.items()}) for name, mine in models.items()}
    for name in [name for name in models if name != "fusion"]:
        told[name]["fusion_gain"] = _told({key: gain(fusion[key], part) for key, part in models[name].items()})
    gaps = None
    if beside is not None:
        gaps = _told({key: difference(fusion[key], part, study.seed) for key, part in beside["fusion"].items()})
    return {
        **asdict(candidate),
        "models": told,
        "optimistic": _optimistic(read_curve(folder_of(study, candidate))["scores"], fusion, study.metric),
        "difference": gaps,
    }


def _told(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what there is of the average, and of each class."""
    return {"average": parts[AVERAGE], "classes": {task: part for task, part in parts.items() if task != AVERAGE}}


def _optimistic(
    curves: Mapping[str, Sequence[float]], fusion: Mapping[str, Measured], metric: ScoreMetric
) -> dict[str, Any]:
    """Returns the released protocol's number: each network at its best milestone on the test split itself."""
    best: dict[str, list[float]] = {}
    for name, curve in curves.items():
        peak = max((score for score in curve if math.isfinite(score)), default=math.nan)
        best.setdefault(name.rsplit("/", 2)[0], []).append(peak)

    peaks = {AVERAGE: [peak for mine in best.values() for peak in mine], **best}
    found = {task: metric.average(peaks[task]) for task in fusion}
    told = {task: {metric.name: value, "by": value - fusion[task].score} for task, value in found.items()}
    return {**_told(told), "epochs": len(next(iter(curves.values())))}
