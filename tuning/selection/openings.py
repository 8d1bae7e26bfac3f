"""The record of who has looked at which test split: ``openings.jsonl`` in the folder that all studies share.

An opening is recorded before anything of the split is read, under the digest of the data: a renamed study, or other
networks, open the same split once more. A second one is refused unless it is asked for, and all of them are counted.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pamfn.data.rules import counted
from tuning.branches.leases import Watch, acquire
from tuning.faults import UNSET, Fault
from tuning.storage import is_remote, open_store, within
from tuning.storage.folder import FolderStore
from tuning.storage.numbered import NumberedLines, TakenOver
from tuning.study import Study
from tuning.study_file import FILE

OPENINGS, LOCK = "openings.jsonl", ".openings.lock"
PATIENCE = 30.0  # seconds to wait for another writer, who needs milliseconds

Opening = dict[str, Any]


class OpenedBefore(ValueError):  # noqa: N818  # reads as what happened
    """Another study, or another choice of this one, has opened the same test split."""


def openings_of(root: str | Path, digest: str) -> list[Opening]:
    """Returns the openings of one data set's test split, in their order.

    Raises:
        ValueError: If the record cannot be read: a count that may be too low is none.
    """
    return [entry for entry in _entries(str(root)) if entry["digest"] == digest]


def openings_told(root: str | Path, study: str, digest: str) -> list[Opening] | None:
    """Returns the openings as far as a folder of studies knows; None if it knows nothing of this study."""
    store = open_store(str(root))
    try:
        if isinstance(store, FolderStore) and not (store.folder / OPENINGS).exists():
            return [] if (store.folder / study / FILE).exists() else None
        return openings_of(root, digest)
    except (ValueError, OSError):
        return None


def opening_faults(study: Study, *, resume: bool, reopen: bool) -> list[Fault]:
    """Returns why a study may not be launched to look at its test split in the end.

    Only a study that goes on may have an opening already, its own.
    """
    if reopen or not study.space.final.top:
        return []
    try:
        known = openings_of(study.root, study.digest)
    except ValueError as error:
        return [Fault("--storage", "", UNSET, str(error))]
    if not known or (resume and any(entry["study"] == study.name for entry in known)):
        return []
    ways = "give --reopen-test to look again, which every report will count, or --set final.top=0 to leave it closed"
    return [Fault("--data", "", UNSET, said_of(known, study.digest), ways)]


def said_of(known: list[Opening], digest: str) -> str:
    """Returns who has opened a test split, and when."""
    each = ", ".join(f"by {entry['user']} at {entry['time']} for study {entry['study']}" for entry in known)
    return f"the test split of this data (digest {digest[:12]}) has been opened {counted(len(known), 'time')}: {each}"


def record_opening(study: Study, chosen: str, *, reopen: bool) -> Opening:
    """Records that a study is going to look at its test split; returns the entry with its number.

    A study that was killed later goes on with the opening that it has recorded for the same choice.

    Args:
        study: The study.
        chosen: Digest of what is going to be looked at.
        reopen: Whether a test split that was opened for anything else may be opened again.

    Raises:
        OpenedBefore: If it was, and may not.
        ValueError: If the record cannot be read.
        OSError: If it cannot be written, or another process keeps it locked.
    """
    if is_remote(study.root):
        return _record_in_bucket(study, chosen, reopen=reopen)
    with _alone(Path(study.root, LOCK)):
        entries = _entries(study.root)
        entry, new = _next_of(study, chosen, entries, reopen=reopen)
        if new:
            _write(Path(study.root, OPENINGS), [*entries, entry])
    return entry


def _record_in_bucket(study: Study, chosen: str, *, reopen: bool) -> Opening:
    """Records an opening as the next line, which one of several that try at once can write; the others look again."""
    while True:
        lines = NumberedLines(open_store(study.root), OPENINGS)
        entry, new = _next_of(study, chosen, _parsed(within(study.root, OPENINGS), lines.read()), reopen=reopen)
        if not new:
            return entry
        with contextlib.suppress(TakenOver):
            lines.append(json.dumps(entry).encode() + b"\n")
            return entry


def _next_of(study: Study, chosen: str, entries: list[Opening], *, reopen: bool) -> tuple[Opening, bool]:
    """Returns the opening for a choice, and whether it is yet to be recorded.

    Raises:
        OpenedBefore: If the split was opened for anything else, and may not be opened again.
    """
    known = [entry for entry in entries if entry["digest"] == study.digest]
    if mine := next((e for e in known if (e["study"], e["chosen"]) == (study.name, chosen)), None):
        return dict(mine), False
    if known and not reopen:
        raise OpenedBefore(said_of(known, study.digest))
    entry = {
        "digest": study.digest,
        "study": study.name,
        "chosen": chosen,
        "user": _user(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "number": 1 + len(known),
    }
    return entry, True


def _entries(root: str) -> list[Opening]:
    store = open_store(root)
    content = NumberedLines(store, OPENINGS).read() if is_remote(root) else store.read(OPENINGS)
    return _parsed(within(root, OPENINGS), content or b"")


def _parsed(path: str, content: bytes) -> list[Opening]:
    lines = content.splitlines()
    try:
        entries = [json.loads(line) for line in lines]
        if not all({"digest", "study", "chosen", "user", "time"} <= set(entry) for entry in entries):
            raise ValueError("an opening lacks a key")
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: the record of openings cannot be read ({error}); repair that line") from error
    return entries


def _write(path: Path, entries: list[Opening]) -> None:
    """Puts a longer record in the place of the old one: whoever reads sees one or the other, never half a line."""
    unfinished = path.with_name(f".{path.name}.tmp")
    with unfinished.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(entry) + "\n" for entry in entries)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keeps all other writers of the record out, on other machines too.

    Raises:
        OSError: If another process holds the lock for longer than anyone needs it.
    """
    until, watch = time.monotonic() + PATIENCE, Watch(patience=float("inf"))
    path.parent.mkdir(parents=True, exist_ok=True)
    while (lease := acquire(path)) is None:
        watch.clear_if_dead(path)
        if time.monotonic() > until:
            age = time.time() - path.stat().st_mtime if path.exists() else 0.0
            rule = f"another process has held this lock for {age:.0f} s"
            raise OSError(f"{path}: {rule}; if none is in its final stage any more, remove the file and resume")
        time.sleep(0.05)
    try:
        yield
    finally:
        lease.release()


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without an entry for this user id
        return "unknown"
