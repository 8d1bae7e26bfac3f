"""``study.json``: what a study was launched as, written once, and compared when it is resumed."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pamfn.credentials import without_credentials
from tuning.branches.leases import renewed
from tuning.faults import UNSET, Fault, SpaceError
from tuning.space_model import Space
from tuning.storage import ObjectStore, is_remote, open_store, within
from tuning.storage.folder import FolderStore
from tuning.storage.generations import ObjectLeases
from tuning.storage.kept import clear_working
from tuning.study import Study, Task

FILE, LEASE = "study.json", "driver.lease"
STAYS = ("tune", "final")  # on this machine: folders that know themselves whether they are what has lasted
HEARTBEAT, PATIENCE, LOOK = 5.0, 40.0, 1.0  # seconds
FREE = (
    "data",
    "space.data.path",
    "space.budget.time",
    "space.budget.device_time",
    "space.budget.concurrent",
    "space.resources.engine",
    "space.resources.devices",
    "space.resources.gpu",
    "space.resources.cpu",
    "space.tracking.checkpoints",
    "space.final.top",
    "space.final.ties",
    "space.final.seeds",
)
"""What a resumed study may have differently: none of it changes what a trial is or how it is judged."""


def record_of(study: Study) -> dict[str, Any]:
    """Returns a study as plain JSON values."""
    return {
        "version": 1,
        "name": study.name,
        "data": study.data,
        "digest": study.digest,
        "tasks": [asdict(task) for task in study.tasks],
        "modalities": list(study.modalities),
        "tracking_uri": study.tracking_uri,
        "space": json.loads(study.space.model_dump_json()),
    }


def write_study(study: Study) -> None:
    """Writes ``study.json`` into the study's storage; a reader sees the whole file or none.

    Raises:
        OSError: If the storage cannot be written.
    """
    content = (json.dumps(record_of(study), indent=2) + "\n").encode()
    FolderStore(study.folder).write(FILE, content)
    study.kept.keep(study.folder / FILE)


def is_launched(study: Study) -> bool:
    """Tells whether a study has been launched.

    Raises:
        OSError: If the storage cannot be read.
    """
    return open_store(study.storage).read(FILE) is not None


def studies_at(root: str) -> list[str]:
    """Returns the names of the studies of a place."""
    if not is_remote(root):
        return sorted(path.parent.name for path in Path(root).glob(f"*/{FILE}"))
    found = (name.split("/") for name in open_store(root).names())
    return sorted(parts[0] for parts in found if len(parts) == 2 and parts[1] == FILE)


def forget_study(study: Study) -> None:
    """Takes back what ``write_study`` wrote, of a study of which nothing else is there."""
    open_store(study.storage).remove(FILE)
    (study.folder / FILE).unlink(missing_ok=True)
    with suppress(OSError):  # not empty: of a bucket, where this machine works on the study
        study.folder.rmdir()


def read_record(storage: str) -> dict[str, Any] | None:
    """Returns what is in a storage's ``study.json``; None where there is none.

    Raises:
        ValueError: If the file is not one that ``write_study`` wrote.
    """
    path, content = within(storage, FILE), open_store(storage).read(FILE)
    if content is None:
        return None
    try:
        record = json.loads(content)
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error}); the study cannot be resumed, choose another --name") from error
    if not isinstance(record, dict) or record.get("version") != 1:
        raise ValueError(f"{path}: not the record of a study; choose another --name")
    return record


def read_launched(root: str, name: str) -> Study | None:
    """Returns a study as it was launched; None where there is none of this name.

    Raises:
        ValueError: If its file is not one that ``write_study`` wrote.
    """
    record = read_record(within(root, name))
    if record is None:
        return None
    try:
        return Study(
            name=record["name"],
            space=Space.model_validate_json(json.dumps(record["space"])),
            tasks=tuple(Task(**task) for task in record["tasks"]),
            modalities=tuple(record["modalities"]),
            data=record["data"],
            digest=record["digest"],
            root=root,
            tracking_uri=without_credentials(record["tracking_uri"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{within(root, name, FILE)}: not the whole record of a study ({error!r})") from error


def completed(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns a record with what the space of an older version does not name at its default.

    An older version also kept the password of a tracking URI, which a study is not resumed with.
    """
    if isinstance(uri := record.get("tracking_uri"), str):
        record = {**record, "tracking_uri": without_credentials(uri)}
    try:
        space = Space.model_validate_json(json.dumps(record["space"]))
    except (KeyError, ValueError):
        return record
    return {**record, "space": json.loads(space.model_dump_json())}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Returns a line for each value in which two records differ and a resumed study may not."""
    old, new = dict(_flat(before)), dict(_flat(now))
    keys = [key for key in [*old, *(key for key in new if key not in old)] if key not in FREE]
    absent = "nothing"
    return [
        f"{key}: {json.dumps(old[key]) if key in old else absent} when it was launched, "
        f"{json.dumps(new[key]) if key in new else absent} now"
        for key in keys
        if old.get(key, absent) != new.get(key, absent) or (key in old) != (key in new)
    ]


def check_launch(study: Study, *, resume: bool) -> None:
    """Checks that a study may be started under its name, or continued.

    Raises:
        SpaceError: If a new study would fall on an old one, or a resumed one is missing or was launched differently.
    """
    try:
        before = read_record(study.storage)
    except ValueError as error:
        raise SpaceError(study.space.source, [Fault("--name", "", study.name, str(error))]) from error
    if before is None and resume:
        raise SpaceError(study.space.source, [Fault("--resume", "", UNSET, f"there is no study at {study.storage}")])
    if before is not None and not resume:
        rule = f"is a study already, at {study.storage}"
        raise SpaceError(
            study.space.source,
            [Fault("--name", "", study.name, rule, "give another --name, or --resume to continue it")],
        )
    if before is not None and (changed := differences(completed(before), record_of(study))):
        raise SpaceError(study.space.source, [_changed(study, line) for line in changed])


def _changed(study: Study, line: str) -> Fault:
    more = line.startswith("space.budget.trials:")
    hint = f"for more trials, go on from it in a new study: --name NEW --warm-start {study.name}" if more else ""
    return Fault("--resume", "", UNSET, line, hint)


@contextmanager
def sole_driver(study: Study, *, resume: bool) -> Iterator[None]:
    """Keeps every other launch of the same study out for the length of the block.

    Between ``check_launch`` and ``write_study`` lies the start of Ray, seconds in which a second launch of the same
    name would find no record either; and a study must not be resumed while it runs. The lock goes with the process,
    however that ends; its file stays beside the study's folder and says who ran it last.

    Raises:
        SpaceError: If another process runs the study, or started it since this one looked.
        OSError: If the storage cannot be written, or its file system cannot lock.
    """
    store = study.kept.store
    if isinstance(store, ObjectStore):
        with _leased(study, store):
            check_launch(study, resume=resume)
            clear_working(study.folder, STAYS)
            study.kept.fetch_files()
            yield
        return
    path = Path(study.root, f".{study.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            rule, hint = f"is being run by {file.read().strip()}", "wait for its end, or give another --name"
            raise SpaceError(study.space.source, [Fault("--name", "", study.name, rule, hint)]) from None
        check_launch(study, resume=resume)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield


@contextmanager
def _leased(study: Study, store: ObjectStore) -> Iterator[None]:
    """Holds the driver's lease on a bucket; one whose holder is silent is taken over after ``PATIENCE`` seconds.

    A holder that only could not be heard is stopped by the journal, whose next line it cannot write any more.
    """
    leases = ObjectLeases(store, PATIENCE)
    while (lease := leases.claim(LEASE)[0]) is None:
        if LEASE in leases.heard:
            who = leases.holder(LEASE)
            rule = f"is being run by process {who.get('pid')} on {str(who.get('host')).partition('/')[0]}"
            hint = "wait for its end, or give another --name"
            raise SpaceError(study.space.source, [Fault("--name", "", study.name, rule, hint)])
        time.sleep(LOOK)
    with renewed({LEASE: lease}, HEARTBEAT):
        yield


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the leaves of nested mappings by dotted path; lists are leaves."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    else:
        yield path, value
