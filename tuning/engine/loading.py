"""A study's data on the way into engines: read once, kept in the cluster's memory, used there by all of a node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ray

from pamfn.data.features import Contents, contents_of
from tuning.cluster import NoEngine
from tuning.engine.resident import one_line
from tuning.study import Study
from tuning.study_data import split_data


def waited_for(reference: Any) -> Any:
    """Returns what a task came to.

    Raises:
        NoEngine: If it failed.
    """
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise NoEngine(f"no engine can start: {one_line(error.cause)}") from error
    except ray.exceptions.RayError as error:
        last = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise NoEngine(f"no engine can start: {last.strip()}") from error


def first_of(references: Sequence[Any]) -> Any:
    """Returns what the first task came to that did not fail.

    Raises:
        NoEngine: If all of them failed; it tells of the last.
    """
    pending = list(references)
    while True:
        (done, *_), pending = ray.wait(pending)
        try:
            return waited_for(done)
        except NoEngine:
            if not pending:
                raise


def read(study: Study) -> tuple[Contents, dict[str, dict[str, Any]]]:
    """Runs as a task: returns what is known of a study's training videos, and their features, to be put in memory.

    Raises:
        ValueError: If the shards changed since the study started.
    """
    features, bank = split_data(study, ("train",), "cpu")
    return Contents(**contents_of(features, range(len(features)))), bank.arrays()
