"""After the last trial: the chosen configurations trained again on the cluster, then the test split opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pamfn.data.rules import counted
from tuning.cluster import Room
from tuning.console import Console
from tuning.selection import RESULTS, Candidate, choose, folder_of, open_test, read_results, train_final
from tuning.study import Study
from tuning.tracking import Tracker


@dataclass(frozen=True)
class Finals:
    """What came of the final stage.

    Args:
        results: What ``final.json`` holds; None if the test split stayed closed.
        failed: Why candidates could not be trained.
    """

    results: dict[str, Any] | None
    failed: list[str]


def finish(
    ray: Any, study: Study, room: Room, rows: Sequence[dict[str, Any]], tracker: Tracker, console: Console
) -> Finals:
    """Trains the best ``final.top`` configurations on the whole training split, and scores them on the test split once.

    A study that was interrupted here goes on where it was: networks that are trained are not trained again, and a test
    split that this study has opened is not opened again.
    """
    candidates = choose(rows, study.space.final.top)
    if not candidates:
        if study.space.final.top:
            console.note("no trial ran its full budget: nothing is chosen and the test split stays closed")
        return Finals(None, [])
    results, failed = read_results(study), dict[str, str]()
    if results is None:
        seeds = study.space.final.seeds
        console.note(f"training the best {len(candidates)} on the whole training split, {counted(seeds, 'seed')} each")
        failed = _train(ray, study, room, candidates)
        for trial_id, why in failed.items():
            console.note(f"final training of trial {trial_id} failed: {why}")
        candidates = [c for c in candidates if c.trial_id not in failed]
        if not candidates:
            return Finals(None, list(failed.values()))
        results = open_test(study, candidates)
    elif [row["trial_id"] for row in results["candidates"]] != [c.trial_id for c in candidates]:
        console.note("this study has opened the test split before, for other candidates; it is not opened again")
    _track(study, results, tracker)
    for line in lines_of(results):
        console.note(line)
    return Finals(results, list(failed.values()))


def _train(ray: Any, study: Study, room: Room, candidates: Sequence[Candidate]) -> dict[str, str]:
    """Trains all candidates on the cluster; returns why some could not be, by trial."""
    train = ray.remote(num_cpus=room.cpu, num_gpus=room.gpu, max_retries=3)(train_final)
    waiting = {train.remote(study, candidate): candidate for candidate in candidates}
    failed = {}
    for reference, candidate in waiting.items():
        try:
            ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            failed[candidate.trial_id] = str(error.cause)
        except ray.exceptions.RayError as error:
            failed[candidate.trial_id] = f"{type(error).__name__}: its process or node was lost"
    return failed


def _track(study: Study, results: dict[str, Any], tracker: Tracker) -> None:
    tracker.log_file(None, Path(study.storage, RESULTS))
    for row in results["candidates"]:
        average = row["models"]["fusion"]["average"]
        metrics = {
            "final_test_spearman": average["spearman"],
            "final_test_spearman_low": average["low"],
            "final_test_spearman_high": average["high"],
        }
        tracker.log_scalars(row["trial_id"], metrics)
        candidate = Candidate(row["rank"], row["trial_id"], row["config"], row["objective"])
        tracker.log_model(
            row["trial_id"],
            f"{study.name}-top{row['rank']}",
            folder_of(study, candidate),
            {"objective": row["objective"], **metrics},
        )


def lines_of(results: dict[str, Any]) -> list[str]:
    """Returns the test split's verdict for reading: every candidate with its interval, beside its single branches."""
    opening, networks = results["opening"], counted(results["seeds"], "network")
    lines = [
        f"test split opened (opening {opening['number']} of this data); {networks} a class, 95% intervals over videos"
    ]
    for row in results["candidates"]:
        fusion = row["models"]["fusion"]
        classes = "  ".join(f"{name} {_shown(value)}" for name, value in fusion["classes"].items())
        lines.append(f"top {row['rank']}, trial {row['trial_id']}: average {_shown(fusion['average'])}  {classes}")
        for name, model in row["models"].items():
            if name != "fusion":
                gain = model["fusion_gain"]
                lines.append(
                    f"  {name} branch alone: {_shown(model['average'])}; the fusion is "
                    f"{gain['spearman']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}] from it"
                )
    return lines


def _shown(value: dict[str, Any]) -> str:
    return f"{value['spearman']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
