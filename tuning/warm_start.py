"""Starting a study from the results of another: where the other lies, and what of it is taken over, once and for all.

prior = settled_prior(study)       # after ``write_study``, before the first suggestion
"""

from __future__ import annotations

from pathlib import Path

from tuning.faults import Fault, SpaceError, near_miss
from tuning.search.journal import FILE as JOURNAL
from tuning.search.prior import FILE, RECORD, Prior, PriorError, keep_prior, kept_prior, read_prior
from tuning.storage import absolute, is_remote, open_store, within
from tuning.storage.folder import FolderStore
from tuning.storage.numbered import NumberedLines
from tuning.storage.working import working_folder
from tuning.study import Study
from tuning.study_file import read_record, studies_at


def settled_prior(study: Study) -> Prior:
    """Returns what a study starts from, and keeps it in the study's folder, where every resumption finds it.

    Raises:
        SpaceError: If the other study cannot be the start of this one.
        OSError: If the storage cannot be written.
    """
    prior, path = prior_of(study), study.folder / FILE
    if study.space.warm_start is not None and not path.exists():
        keep_prior(prior, study.folder)
        study.kept.keep(path)
    return prior


def prior_of(study: Study, place: int | str = "--warm-start") -> Prior:
    """Returns what a study starts from; nothing is written.

    Args:
        study: The study.
        place: The line of its space file, or the option, that names the other.

    Raises:
        SpaceError: If the other study cannot be the start of this one.
    """
    named = study.space.warm_start
    if named is None:
        return Prior()
    try:
        return _kept(study) or read_prior(_other(study, named), study.space.region)
    except PriorError as error:
        rule, _, hint = str(error).partition("; ")
        raise SpaceError(study.space.source, [Fault(place, "warm_start", named, rule, hint)]) from error


def _other(study: Study, named: str) -> Path:
    """Returns the folder of another study: beside this one, or else as a path."""
    places = [within(study.root, named)] if "://" not in named else []
    found = next((place for place in [*places, absolute(named)] if read_record(place) is not None), None)
    if found is None:
        known = studies_at(study.root)
        hint = near_miss(named, known) or (f"there are {', '.join(known)}" if known else f"{study.root} holds none")
        raise PriorError(f"is no study under {study.root}, and no folder of one; {hint}")
    if found == study.storage:
        raise PriorError("is this study itself; name another")
    return _brought(found) if is_remote(found) else Path(found)


def _kept(study: Study) -> Prior | None:
    """Returns what was read when the study began, wherever it lasts; None if nothing was."""
    store = study.kept.store
    if store is not None:
        store.get(FILE, study.folder / FILE)
    return kept_prior(study.folder)


def _brought(place: str) -> Path:
    """Returns a folder of this machine with the record and the journal of a study in a bucket."""
    folder = working_folder(within(place, "read"))
    record, journal = open_store(place).read(RECORD), NumberedLines(open_store(place), JOURNAL).read()
    for name, content in ((RECORD, record), (JOURNAL, journal)):
        FolderStore(folder).write(name, content or b"")
    return folder
