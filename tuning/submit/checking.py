"""What can be wrong with a request for a cluster, as far as this machine can tell; the rest is asked there."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from tuning.faults import UNSET, Fault, SpaceError
from tuning.planted import planted_contents
from tuning.request import options_of
from tuning.space import Draft, found_space, read_space
from tuning.study import name_faults, planted_location, resolve_study
from tuning.submit.secrecy import holds_a_password, password_faults
from tuning.tracking.location import DATABASES, SQLITE

NOT_HERE = "a job has no folder of yours to start from"


def checked(arguments: argparse.Namespace, words: Sequence[str]) -> str:
    """Returns the name of the study that a command line asks for.

    Args:
        arguments: The options of a launch.
        words: The words they were read from.

    Raises:
        SpaceError: With everything that is wrong, as far as it can be known here.
    """
    draft = read_space(arguments.space, arguments.set, options_of(arguments))
    name = arguments.name or Path(draft.space.source).stem
    text = found_space(arguments.space).read_text(encoding="utf-8")
    faults = [*password_faults(words, text), *_place_faults(draft, arguments), *_study_faults(draft, arguments, name)]
    if faults:
        raise SpaceError(draft.space.source, faults)
    return name


def _study_faults(draft: Draft, arguments: argparse.Namespace, name: str) -> list[Fault]:
    """Returns what is wrong with the space, and with what it asks of its data where those are known here.

    Planted data are known without being made; a folder is read if it is here under the same path.
    """
    planted = None if arguments.data is not None else draft.space.data.synthetic
    location = arguments.data or draft.space.data.path
    try:
        if planted is not None:
            storage = arguments.storage
            contents = planted_contents(planted)
            resolve_study(draft, planted_location(planted, storage), storage=storage, name=name, contents=contents)
        elif location is not None and Path(location).is_absolute() and Path(location).exists():
            resolve_study(draft, location, name=name)
        else:
            return [*draft.faults, *name_faults(name)]
    except SpaceError as error:
        return error.faults
    return []


def _place_faults(draft: Draft, arguments: argparse.Namespace) -> Iterator[Fault]:
    """Yields the locations that would mean something else on the cluster, or nothing."""
    yield from _tracking_faults(arguments.tracking_uri)
    hint = "give an absolute --storage, or a URI, that every node of the cluster reaches"
    yield from _relative("--storage", arguments.storage, hint)
    hint = "give an absolute path, or a URI, under which every node of the cluster reads the data"
    data = draft.space.data
    if arguments.data is not None:
        yield from _relative("--data", arguments.data, hint)
    elif data.path is not None and ("data",) not in draft.broken:
        yield from _relative(draft.document.line(("data", "path")), data.path, hint)
    elif data.synthetic is None and ("data",) not in draft.broken:
        yield Fault("--data", "", UNSET, "no data is named", "give --data, data.path or data.synthetic")
    if (other := draft.space.warm_start) is not None and "/" in other:
        yield from _relative("--warm-start", other, "give a study's name, or an absolute path on the cluster")


def _relative(place: int | str, location: str, hint: str) -> Iterator[Fault]:
    if not Path(location).is_absolute() and "://" not in location:
        yield Fault(place, "", location, f"is relative, and {NOT_HERE}", hint)


def _tracking_faults(uri: str) -> Iterator[Fault]:
    """Yields what is wrong with a tracking URI as it is written; whether it answers is asked on the cluster."""
    hint = "give http://HOST:PORT, postgresql://HOST/DATABASE or sqlite:////ABSOLUTE/FILE of the cluster"
    if holds_a_password(uri):
        return
    try:
        scheme = urlsplit(uri).scheme
    except ValueError as error:
        yield Fault("--tracking-uri", "", uri, f"is no URI ({error})", hint)
        return
    if scheme in SQLITE:
        file = uri.partition(":///")[2].partition("?")[0]
        if not file.startswith("/"):
            yield Fault("--tracking-uri", "", uri, f"names a relative file, and {NOT_HERE}", hint)
    elif scheme not in ("http", "https") and scheme.split("+")[0] not in DATABASES:
        yield Fault("--tracking-uri", "", uri, "is not a database or a server", hint)
