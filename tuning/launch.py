"""The whole job: a space file to a finished study, on this machine or on a Ray cluster.

python -m tuning.launch --space rg.yaml --data shards/rg

Exit 0: done; 1: some trials failed; 2: the request was wrong and nothing was started; 130: interrupted.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tuning.console import Console
from tuning.faults import UNSET, Fault, SpaceError
from tuning.finals import finish
from tuning.planted import ensure_planted
from tuning.report import write_report
from tuning.space import Draft, Option, read_space
from tuning.study import Study, data_location, resolve_study
from tuning.study_file import check_launch, write_study
from tuning.tracking import Tracker, TrackingError, check_tracking, read_study

DONE, SOME_FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser().parse_args(words)
    try:
        study = _study(arguments)
        if arguments.dry_run:
            sys.stdout.write(_resolved(study))
            return DONE
        return _run(study, arguments, words)
    except SpaceError as error:
        return _refused(str(error))
    except TrackingError as error:
        return _refused(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tuning.launch", description="Run a study from a space file.")
    add = parser.add_argument
    add(
        "--space",
        required=True,
        metavar="FILE",
        help="the space file; looked up as given, then among the packaged ones",
    )
    add("--data", metavar="DIR", help="folder or URI of the shards; goes before the file's data.path")
    add("--storage", default="studies", metavar="DIR", help="where studies are kept (default ./studies)")
    add("--tracking-uri", default="sqlite:///mlflow.db", metavar="URI", help="MLflow (default sqlite:///mlflow.db)")
    add("--name", metavar="NAME", help="name of the study (default: that of the space file)")
    add("--num-samples", type=int, metavar="N", help="trials; the same as --set budget.trials=N")
    add("--max-concurrent", type=int, metavar="N", help="trials at once; the same as --set budget.concurrent=N")
    add("--time-budget", metavar="TIME", help="such as 2h or 30m; the same as --set budget.time=TIME")
    add("--seed", type=int, metavar="N", help="the study's seed; the same as --set seed=N")
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a value of the space, such as search.lr.high=0.01",
    )
    add("--address", metavar="ADDR", help="a Ray cluster that is running (default: a private one on this machine)")
    add("--resume", action="store_true", help="go on with a study that was interrupted")
    add("--dry-run", action="store_true", help="print the resolved study and start nothing")
    add("--verbose", action="store_true", help="let Ray talk")
    add("--log-format", choices=("text", "json"), default="text", help="how events are written (default text)")
    return parser


def _options(arguments: argparse.Namespace) -> list[Option]:
    given = [
        ("--num-samples", "budget.trials", arguments.num_samples),
        ("--max-concurrent", "budget.concurrent", arguments.max_concurrent),
        ("--time-budget", "budget.time", arguments.time_budget),
        ("--seed", "seed", arguments.seed),
    ]
    return [Option(name, key, value) for name, key, value in given if value is not None]


def _study(arguments: argparse.Namespace) -> Study:
    """Returns the resolved study.

    Raises:
        SpaceError: With everything that is wrong with the request.
    """
    draft = read_space(arguments.space, arguments.set, _options(arguments))
    faults = [Fault("--tracking-uri", "", UNSET, text) for text in check_tracking(arguments.tracking_uri)]
    faults += _storage_faults(arguments.storage)
    if faults:
        raise SpaceError(draft.space.source, [*draft.faults, *faults])
    location = data_location(draft, data=arguments.data, storage=arguments.storage)
    if _is_planted(draft, arguments):
        draft.checked()
        ensure_planted(draft.space.data.synthetic, Path(location))
    study = resolve_study(
        draft, location, storage=arguments.storage, tracking_uri=arguments.tracking_uri, name=arguments.name
    )
    if not arguments.dry_run:
        check_launch(study, resume=arguments.resume)
    return study


def _is_planted(draft: Draft, arguments: argparse.Namespace) -> bool:
    return arguments.data is None and draft.space.data.synthetic is not None


def _storage_faults(storage: str) -> list[Fault]:
    if "://" in storage:
        return [Fault("--storage", "", storage, "is a URI", "give a folder that every node mounts")]
    parent = next(folder for folder in (Path(storage).absolute(), *Path(storage).absolute().parents) if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        return [Fault("--storage", "", storage, f"cannot be written: {parent} is no folder that this user may write")]
    return []


def _run(study: Study, arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """Runs the trials, then the final networks, then writes what came of it."""
    from tuning.cluster import ray_cluster, room_on
    from tuning.keeping import CheckpointKeeper
    from tuning.records import study_record
    from tuning.running import FOLDER, run_trials

    resume = [*_command(), *(word for word in words if word != "--resume"), "--resume"]
    console = Console(study.name, list(study.space.search), study.space.budget.trials, log_format=arguments.log_format)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    try:
        with ray_cluster(arguments.address, verbose=arguments.verbose) as ray:
            room, faults = room_on(ray, study.space.resources)
            if faults:
                raise SpaceError(study.space.source, [Fault("--address", "", UNSET, text) for text in faults])
            write_study(study)
            tracker = Tracker(study.tracking_uri, study_record(study), resume=arguments.resume)
            keeper = CheckpointKeeper(Path(study.storage, FOLDER), study.space.tracking.checkpoints, tracker)
            with console:
                for note in study.notes:
                    console.note(note)
                outcome = run_trials(
                    study, room, [tracker, console, keeper], resume=arguments.resume, verbose=arguments.verbose
                )
                finals = None
                if not outcome.interrupted:
                    finals = finish(ray, study, room, list(outcome.rows.values()), tracker, console)
    except ConnectionError as error:
        return _refused(f"--address: {arguments.address}: no Ray cluster answers there ({error})")
    except KeyboardInterrupt:
        return INTERRUPTED
    status = (
        INTERRUPTED if outcome.interrupted else SOME_FAILED if outcome.failed or (finals and finals.failed) else DONE
    )
    tracker.end_study({INTERRUPTED: "interrupted"}.get(status, "finished"))
    results = read_study(study.tracking_uri, study.name)
    files = write_report(results, study.storage)
    console.study_ended(results, files, resume if outcome.interrupted else None)
    return status


def _command() -> list[str]:
    return ["python", "-m", "tuning.launch"]


def _resolved(study: Study) -> str:
    """Returns the study as it would run, for ``--dry-run``."""
    recipe = study.space.recipe(study.space.first_point())
    rungs = ", ".join(f"{share:.0%}" for share in study.rungs(recipe))
    lines = [
        f"study {study.name}: {study.space.budget.trials} trials of {len(study.replica_names())} networks each",
        f"data: {study.data} (digest {study.digest[:12]}); modalities {', '.join(study.modalities)}",
        f"classes: {', '.join(task.name for task in study.tasks)}",
        f"rungs at {rungs} of each class's budget; first trial {study.space.first_point()}",
        *study.notes,
        "",
        study.space.to_yaml(),
    ]
    return "\n".join(lines)


def _refused(text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return WRONG


if __name__ == "__main__":
    sys.exit(main())
