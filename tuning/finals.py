"""After the last trial: configurations are chosen, the opening recorded, their networks trained and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pamfn.data.rules import counted
from tuning.cluster import Room
from tuning.console import Console
from tuning.score_metric import ScoreMetric
from tuning.secrets import redacted
from tuning.selection.choosing import REFERENCE, Candidate, Choice, choose
from tuning.selection.judging import RESULTS, judge, read_results
from tuning.selection.openings import OpenedBefore, Opening, record_opening
from tuning.selection.training import folder_of, train_final
from tuning.selection.words import configurations, lines_of, number
from tuning.study import Study
from tuning.tracking import Tracker
from tuning.winners import winner_folder


@dataclass(frozen=True)
class Finals:
    """What came of the final stage.

    Args:
        results: What ``final.json`` holds; None if the test split stayed closed.
        failed: Why candidates could not be trained, or why the test split stayed closed though it was to be opened.
    """

    results: dict[str, Any] | None
    failed: list[str]


def finish(
    ray: Any,
    study: Study,
    room: Room,
    rows: Sequence[dict[str, Any]],
    tracker: Tracker,
    console: Console,
    *,
    reopen: bool = False,
) -> Finals:
    """Trains the best ``final.top`` configurations and the reference on the whole training split, and judges them.

    The test split is opened for the choice that was made before, once. A study that was interrupted here goes on where
    it was, with the same opening: networks that are trained are not trained again.

    Args:
        ray: The running Ray.
        study: The study.
        room: What a training takes.
        rows: What came of the trials; see `choose`.
        tracker: Writes to MLflow.
        console: Tells what happens.
        reopen: Whether a test split that was opened for anything else may be opened again.
    """
    choice = choose(study, rows)
    if choice is None:
        if study.space.final.top:
            console.note("no trial ran its full budget: nothing is chosen and the test split stays closed")
        return Finals(None, [])
    try:
        opening = record_opening(study, choice.digest(study.space.final.seeds, study.seed), reopen=reopen)
    except OpenedBefore as error:
        return _closed(f"{error}; the trials are kept: resume with --reopen-test, or with --set final.top=0", console)
    except (OSError, ValueError) as error:
        return _closed(f"{error}; the trials are kept", console)
    results, failed = read_results(study), dict[str, str]()
    if results is None or results["opening"]["chosen"] != opening["chosen"]:
        results, failed = _opened(ray, study, room, choice, opening, console)
    if results is not None:
        _track(study, results, tracker)
        for line in lines_of(results):
            console.note(line)
    return Finals(results, list(failed.values()))


def _closed(why: str, console: Console) -> Finals:
    note = f"the final stage is left out: {why}"
    console.note(note)
    return Finals(None, [note])


def _opened(
    ray: Any, study: Study, room: Room, choice: Choice, opening: Opening, console: Console
) -> tuple[dict[str, Any] | None, dict[str, str]]:
    """Trains and judges what was chosen; returns the results, and why some could not be trained, by trial."""
    best, seeds = len(choice.candidates), counted(study.space.final.seeds, "seed")
    beside = " and the first trial's configuration" if len(choice.trained) > best else ""
    console.note(f"training the best {best}{beside} on the whole training split, {seeds} each")
    failed = _train(ray, study, room, choice.trained)
    for trial_id, why in failed.items():
        console.note(f"final training of trial {trial_id} failed: {why}")
    if all(candidate.trial_id in failed for candidate in choice.candidates):
        return None, failed
    return judge(study, choice, opening, list(failed)), failed


def _train(ray: Any, study: Study, room: Room, candidates: Sequence[Candidate]) -> dict[str, str]:
    """Trains all candidates on the cluster; returns why some could not be, by trial."""
    train = ray.remote(num_cpus=room.cpu, num_gpus=room.gpu, max_retries=3)(train_final)
    waiting = {train.remote(study, candidate): candidate for candidate in candidates}
    failed = {}
    for reference, candidate in waiting.items():
        try:
            ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            failed[candidate.trial_id] = redacted(str(error.cause))
        except ray.exceptions.RayError as error:
            failed[candidate.trial_id] = f"{type(error).__name__}: its process or node was lost"
    return failed


def _track(study: Study, results: dict[str, Any], tracker: Tracker) -> None:
    tracker.log_file(None, study.folder / RESULTS)
    for row in configurations(results):
        metrics = _metrics(row, study.metric)
        candidate = Candidate(row["rank"], row["trial_id"], row["config"], row["objective"], row["tie"])
        if row["trial_id"] != REFERENCE:  # no trial has tried it, so it has no run
            tracker.log_scalars(row["trial_id"], metrics)
        if row["rank"] and not row["tie"]:
            about = {"objective": row["objective"], **metrics}
            study.kept.fetch_folder(folder_of(study, candidate))
            folder = winner_folder(study, results, row, folder_of(study, candidate))
            tracker.log_model(row["trial_id"], f"{study.name}-top{row['rank']}", folder, about)


def _metrics(row: Mapping[str, Any], metric: ScoreMetric) -> dict[str, float]:
    """Returns a configuration's numbers on the test split by the names that MLflow has them under."""
    average, optimistic = row["models"]["fusion"]["average"], row["optimistic"]["average"]
    metrics = {
        metric.test: number(average),
        f"{metric.test}_low": average["low"],
        f"{metric.test}_high": average["high"],
        "final_test_optimistic_best_epoch": number(optimistic),
        "final_test_optimistic_by": optimistic["by"],
    }
    if row["difference"]:
        gap = row["difference"]["average"]
        named = {"": number(gap), "_low": gap["low"], "_high": gap["high"]}
        metrics |= {f"final_test_over_first{end}": value for end, value in named.items() if value is not None}
    return metrics
