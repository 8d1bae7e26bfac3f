"""The command line of a launch, and the study that it asks for: everything that can be wrong is found here."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from pamfn.data.features import Contents
from pamfn.data.shards import read_table_of_contents
from tuning.faults import UNSET, Fault, SpaceError
from tuning.job import resume_words
from tuning.planted import ensure_planted, planted_are_at, planted_contents
from tuning.secrets import Parser
from tuning.selection.openings import opening_faults
from tuning.space import Draft, Option, read_space
from tuning.storage import ObjectStore, StorageError, absolute, is_remote, place_faults
from tuning.storage.places import says_who, without_credentials
from tuning.study import Study, data_location, planted_location, resolve_study
from tuning.study_file import check_launch
from tuning.tracking import check_tracking

ANSWER = 10.0  # seconds for a bucket to answer
COMMAND = ("python", "-m", "tuning.launch")


def parse(words: Sequence[str], command: Sequence[str] = COMMAND) -> argparse.Namespace:
    """Returns the options of a launch; leaves with exit status 2 and the usage if they are none."""
    parser = Parser(prog=" ".join(command), description="Run a study from a space file.", allow_abbrev=False)
    add = parser.add_argument
    space = "the space file; looked up as given, then among the packaged ones"
    add("--space", required=True, metavar="FILE", help=space)
    add("--data", metavar="DIR", help="folder or URI of the shards; goes before the file's data.path")
    add("--storage", default="studies", metavar="DIR", help="where studies are kept (default ./studies)")
    add("--tracking-uri", default="sqlite:///mlflow.db", metavar="URI", help="MLflow (default sqlite:///mlflow.db)")
    add("--name", metavar="NAME", help="name of the study (default: that of the space file)")
    add("--num-samples", type=int, metavar="N", help="trials; the same as --set budget.trials=N")
    add("--max-concurrent", type=int, metavar="N", help="trials at once; the same as --set budget.concurrent=N")
    add("--time-budget", metavar="TIME", help="such as 2h or 30m; the same as --set budget.time=TIME")
    add("--seed", type=int, metavar="N", help="the study's seed; the same as --set seed=N")
    change = "change a value of the space, such as search.lr.high=0.01"
    other = "a study whose results this one starts from: its name or folder; the same as --set warm_start=STUDY"
    add("--warm-start", metavar="STUDY", help=other)
    add("--set", action="append", default=[], metavar="KEY=VALUE", help=change)
    cluster = "a Ray cluster that is running, HOST:PORT, or auto inside a job (default: a private one on this machine)"
    add("--address", metavar="ADDR", help=cluster)
    add("--resume", action="store_true", help="go on with a study that was interrupted")
    add("--reopen-test", action="store_true", help="look at a test split again that has been opened before")
    add("--dry-run", action="store_true", help="print the resolved study and start nothing")
    add("--verbose", action="store_true", help="let Ray talk")
    add("--log-format", choices=("text", "json"), default="text", help="how events are written (default text)")
    return parser.parse_args(words)


def resume_command(words: Sequence[str]) -> list[str]:
    """Returns the command that goes on with what these words began; for a job, the one that submits it again."""
    return resume_words() or [*COMMAND, *(word for word in words if word != "--resume"), "--resume"]


def requested_study(arguments: argparse.Namespace) -> tuple[Study, Contents]:
    """Returns the study that a command line asks for, and what its data hold; nothing is started or written.

    Raises:
        SpaceError: With everything that is wrong with the request.
    """
    draft = read_space(arguments.space, arguments.set, options_of(arguments))
    faults = [Fault("--tracking-uri", "", UNSET, text) for text in check_tracking(arguments.tracking_uri)]
    faults += _storage_faults(arguments.storage)
    given = {"--data": arguments.data, "data.path": draft.space.data.path, "warm_start": draft.space.warm_start}
    for place, where in given.items():
        if where is not None and says_who(where):
            faults.append(Fault(place, "", without_credentials(where), *(place_faults(where) or ())))
    if faults:
        raise SpaceError(draft.space.source, [*draft.faults, *faults])
    study, contents = _resolved(draft, arguments)
    if arguments.resume or not arguments.dry_run:
        check_launch(study, resume=arguments.resume)
    if faults := opening_faults(study, resume=arguments.resume, reopen=arguments.reopen_test):
        raise SpaceError(draft.space.source, faults)
    return _warmly(draft, study), contents


def _warmly(draft: Draft, study: Study) -> Study:
    """Returns the study with notes on what it takes over from another.

    Raises:
        SpaceError: If there is no such other study, or nothing in it can be used.
    """
    if study.space.warm_start is None:
        return study
    from tuning.warm_start import prior_of  # the search loads HyperOpt

    prior = prior_of(study, draft.document.line(("warm_start",)))
    return replace(study, notes=(*study.notes, *prior.notes))


def options_of(arguments: argparse.Namespace) -> list[Option]:
    """Returns the options that stand for values of the space."""
    given = [
        ("--num-samples", "budget.trials", arguments.num_samples),
        ("--max-concurrent", "budget.concurrent", arguments.max_concurrent),
        ("--time-budget", "budget.time", arguments.time_budget),
        ("--seed", "seed", arguments.seed),
        ("--warm-start", "warm_start", arguments.warm_start),
    ]
    return [Option(name, key, value) for name, key, value in given if value is not None]


def _resolved(draft: Draft, arguments: argparse.Namespace) -> tuple[Study, Contents]:
    """Resolves the study; planted data that are not there yet are made elsewhere, only to look into them.

    A dry run makes none: it knows their sizes, and the digest stays empty.
    """
    names = {"tracking_uri": arguments.tracking_uri, "name": arguments.name}
    location = data_location(draft, data=arguments.data, storage=arguments.storage)
    planted = None if arguments.data is not None else draft.space.data.synthetic
    if planted is None or planted_are_at(location):
        study = resolve_study(draft, location, storage=arguments.storage, **names)
        return study, read_table_of_contents(location)[1]
    draft.checked()
    if arguments.dry_run:
        contents = planted_contents(planted)
        return resolve_study(draft, location, storage=arguments.storage, contents=contents, **names), contents
    with TemporaryDirectory() as scratch:
        made = planted_location(planted, scratch)
        ensure_planted(planted, Path(made))
        study = resolve_study(draft, made, storage=scratch, **names)
        contents = read_table_of_contents(made)[1]
    return replace(study, root=absolute(arguments.storage), data=location), contents


def _storage_faults(storage: str) -> list[Fault]:
    if fault := place_faults(storage):
        return [Fault("--storage", "", without_credentials(storage), *fault)]
    if is_remote(storage):
        return bucket_faults(storage)
    try:
        folder = Path(absolute(storage))
        parent = next(place for place in (folder, *folder.parents) if place.exists())
    except OSError as error:
        return [Fault("--storage", "", storage, f"cannot be a folder: {error.strerror}", "give a shorter path")]
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        return [Fault("--storage", "", storage, f"cannot be written: {parent} is no folder that this user may write")]
    return []


def bucket_faults(storage: str) -> list[Fault]:
    """Returns why a bucket cannot hold studies: nobody answers there, it is not there, or it refuses to be read."""
    try:
        ObjectStore(absolute(storage), patience=ANSWER).read("study.json")
    except StorageError as error:
        return [Fault("--storage", "", storage, str(error), "see that server, bucket and credentials are right")]
    return []
