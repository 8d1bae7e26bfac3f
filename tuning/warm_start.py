"""Starting a study from the results of another: where the other lies, and what of it is taken over, once and for all.

prior = settled_prior(study)       # after ``write_study``, before the first suggestion
"""

from __future__ import annotations

from pathlib import Path

from tuning.faults import Fault, SpaceError, near_miss
from tuning.search.prior import FILE, RECORD, Prior, PriorError, keep_prior, kept_prior, read_prior
from tuning.study import Study, absolute


def settled_prior(study: Study) -> Prior:
    """Returns what a study starts from, and keeps it in the study's folder, where every resumption finds it.

    Raises:
        SpaceError: If the other study cannot be the start of this one.
        OSError: If the storage cannot be written.
    """
    prior, storage = prior_of(study), Path(study.storage)
    if study.space.warm_start is not None and not (storage / FILE).exists():
        keep_prior(prior, storage)
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
        return kept_prior(Path(study.storage)) or read_prior(_other(study, named), study.space.region)
    except PriorError as error:
        rule, _, hint = str(error).partition("; ")
        raise SpaceError(study.space.source, [Fault(place, "warm_start", named, rule, hint)]) from error


def _other(study: Study, named: str) -> Path:
    """Returns the folder of another study: beside this one, or else as a path."""
    beside, elsewhere = Path(study.root, named), Path(absolute(named))
    found = next((folder for folder in (beside, elsewhere) if (folder / RECORD).is_file()), None)
    if found is None:
        known = sorted(path.parent.name for path in Path(study.root).glob(f"*/{RECORD}"))
        hint = near_miss(named, known) or (f"there are {', '.join(known)}" if known else f"{study.root} holds none")
        raise PriorError(f"is no study under {study.root}, and no folder of one; {hint}")
    if found.resolve() == Path(study.storage).resolve():
        raise PriorError("is this study itself; name another")
    return found
