"""The whole job: a space file to a finished study, on this machine or on a Ray cluster.

python -m tuning.launch --space rg.yaml --data shards/rg

Exit 0: done; 1: some trials failed, no engine could start, or MLflow has not got everything when the study ends; 2: the
request was wrong and nothing was started; 130: interrupted.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from pamfn.data.features import Contents
from tuning.cluster import ClusterError, NoEngine, Room, ray_cluster, room_on
from tuning.console import Console, LastingOutput
from tuning.faults import UNSET, Fault, SpaceError
from tuning.interruption import Interruption
from tuning.planted import ensure_planted_at
from tuning.preflight import Findings, preflight
from tuning.preview import preview
from tuning.request import parse, requested_study, resume_command
from tuning.secrets import redacted
from tuning.study import Study
from tuning.study_file import forget_study, is_launched, sole_driver, write_study
from tuning.tracking import StudyRecord, Tracker, TrackingError, read_study

if TYPE_CHECKING:
    from tuning.events import Listener
    from tuning.finals import Finals
    from tuning.running import Outcome

DONE, SOME_FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = parse(words)
    with Interruption() as interruption:
        try:
            study, contents = requested_study(arguments)
            if arguments.dry_run:
                return _preview(study, contents, arguments)
            return _launch(study, contents, arguments, resume_command(words), interruption)
        except (SpaceError, ClusterError, TrackingError) as error:
            return _say(str(error), WRONG)
        except KeyboardInterrupt:
            return _say("interrupted; nothing was started", INTERRUPTED)


def _preview(study: Study, contents: Contents, arguments: argparse.Namespace) -> int:
    """Prints what a launch would do, each part as soon as it is known."""
    out = LastingOutput(sys.stdout)
    for part in preview(study, contents, elsewhere=arguments.address is not None, resume=arguments.resume):
        out.write(part)
        out.flush()
    return DONE


def _launch(
    study: Study, contents: Contents, arguments: argparse.Namespace, again: Sequence[str], interruption: Interruption
) -> int:
    """Runs a study, and says how to go on with it if it is interrupted from here on."""
    if arguments.resume:
        _check_journal(study)
    try:
        return _run(study, contents, arguments, again, interruption)
    except KeyboardInterrupt:
        if not is_launched(study):
            raise
        return _say(f"interrupted; resume with: {shlex.join(again)}", INTERRUPTED)
    except (TrackingError, NoEngine, OSError) as error:
        if not is_launched(study):
            raise
        status = INTERRUPTED if interruption.seen else SOME_FAILED
        return _say(f"{error}\nresume with: {shlex.join(again)}", status)


def _check_journal(study: Study) -> None:
    """Checks, before anything is started, that the study's journal can be gone on with.

    Raises:
        SpaceError: If it cannot.
    """
    from tuning.search.journal import JournalError
    from tuning.study_search import journal_at, search_of

    try:
        search_of(study, 1, journal_at(study.storage))
    except JournalError as error:
        raise SpaceError(study.space.source, [Fault("--resume", "", UNSET, str(error))]) from error


def _run(
    study: Study, contents: Contents, arguments: argparse.Namespace, again: Sequence[str], interruption: Interruption
) -> int:
    """Runs the trials, then the final networks, then writes what came of it."""
    searched, trials = list(study.space.search), study.space.budget.trials
    console = Console(study.name, searched, trials, metric=study.metric, log_format=arguments.log_format)
    with ExitStack() as sole:
        with ray_cluster(arguments.address, verbose=arguments.verbose) as ray:
            interruption.listen()
            found = _room(ray, study, contents, arguments)
            with _writing(study):
                sole.enter_context(sole_driver(study, resume=arguments.resume))
            tracker = _begin(study, contents, console, resume=arguments.resume)
            with console:
                for note in (*study.notes, *found.notes):
                    console.note(note)
                outcome, finals = _train(ray, study, found.room, tracker, console, interruption, arguments)
        account = tracker.end_study("interrupted" if interruption.seen else "finished")
        if account.due:
            raise TrackingError(account.words())
        console.note(account.words())
        from tuning.report import keep_page, write_report  # draws with Matplotlib, which writes a cache

        results = read_study(study.tracking_uri, study.name)
        files = write_report(results, study.storage)
        console.study_ended(results, files, again if interruption.seen else None)
        keep_page(results, study.storage)
    if interruption.seen:
        return INTERRUPTED
    return SOME_FAILED if outcome.failed or (finals and finals.failed) or account.refused else DONE


@contextmanager
def _writing(study: Study) -> Iterator[None]:
    """Turns a storage that cannot be written into a fault of the request."""
    try:
        yield
    except OSError as error:
        fault = Fault("--storage", "", study.root, f"cannot be written: {error}")
        raise SpaceError(study.space.source, [fault]) from error


def _room(ray: Any, study: Study, contents: Contents, arguments: argparse.Namespace) -> Findings:
    """Returns what a trial takes on this cluster, and what is worth saying of it.

    Raises:
        SpaceError: If no node can hold a trial, or a cluster cannot take the study.
    """
    if arguments.address is None:
        room, faults = room_on(ray, study.space.resources)
        found = Findings(room, tuple(faults), ())
    else:
        found = preflight(ray, study, contents, resume=arguments.resume)
    if found.faults:
        raise SpaceError(study.space.source, [Fault("--address", "", UNSET, text) for text in found.faults])
    return found


def _begin(study: Study, contents: Contents, console: Console, *, resume: bool) -> Tracker:
    """Writes the first of what a study leaves behind: its planted data, its record, its run.

    Raises:
        SpaceError: If the storage cannot be written.
        TrackingError: If MLflow refuses the study; its record is taken back then.
    """
    planted = study.space.data.synthetic
    with _writing(study):
        if planted is not None:
            ensure_planted_at(planted, study.data)
        write_study(study)
    profile = Counter(f"{action} {split}" for action, split in zip(contents.actions, contents.splits, strict=True))
    try:
        return Tracker(study.tracking_uri, StudyRecord.of(study, profile), resume=resume, note=console.note)
    except TrackingError:
        if not resume:
            forget_study(study)
        raise


def _train(
    ray: Any,
    study: Study,
    room: Room,
    tracker: Tracker,
    console: Console,
    interruption: Interruption,
    arguments: argparse.Namespace,
) -> tuple[Outcome, Finals | None]:
    """Runs the trials and, unless they were interrupted, the final stage."""
    from tuning.finals import finish
    from tuning.keeping import FOLDER, CheckpointKeeper
    from tuning.running import run_trials

    keeper = CheckpointKeeper(study.folder / FOLDER, study.space.tracking.checkpoints, tracker, study.kept)
    listeners: list[Listener] = [tracker, console, keeper]
    outcome = run_trials(
        study,
        room,
        listeners,
        interruption,
        verbose=arguments.verbose,
        note=console.note,
        device_listeners=[tracker, console],
    )
    for note in outcome.notes:
        console.note(note)
    if interruption.seen:
        return outcome, None
    try:
        rows = list(outcome.rows.values())
        return outcome, finish(ray, study, room, rows, tracker, console, reopen=arguments.reopen_test)
    except KeyboardInterrupt:
        return outcome, None


def _say(text: str, status: int) -> int:
    sys.stderr.write(f"{redacted(text)}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
