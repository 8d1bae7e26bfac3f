"""A launch of which one thing may be otherwise; ``benchmarks/study.py`` runs it in a process of its own.

python benchmarks/study_launch.py --cpus 2 --otherwise no-reuse --space study.yaml --storage studies

What is otherwise is changed from outside, here, and nowhere else; all words but ``--cpus`` and ``--otherwise`` are the
command line of ``tuning.launch``. Everything that it starts runs on so many processors.
"""

from __future__ import annotations

import argparse
import os
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import fields
from typing import Any
from unittest.mock import patch

from pamfn.data.features import Contents
from tuning import launch
from tuning.cluster import ray_cluster
from tuning.request import requested_study
from tuning.study import BRANCH_FOLDER, Study


class OwnBranches(Study):
    """A study whose trials share no pretrained branches: a trial asks for the store once, and gets an empty one."""

    @property
    def branch_store(self) -> str:
        """A folder that nobody has used."""
        return f"{self.root}/{BRANCH_FOLDER}/{uuid.uuid4().hex}"


def without_reuse() -> AbstractContextManager[Any]:
    """Has Tune start a process for every trial, which is what it does unless it is told otherwise."""

    @contextmanager
    def changed(address: str | None, *, verbose: bool) -> Iterator[Any]:
        with ray_cluster(address, verbose=verbose) as ray:
            from ray import tune  # not before a launch would: what Ray reads of its environment is set by then

            run = tune.run
            with patch.object(tune, "run", lambda what, **how: run(what, **{**how, "reuse_actors": False})):
                yield ray

    return patch.object(launch, "ray_cluster", changed)


def with_own_branches() -> AbstractContextManager[Any]:
    """Has every trial train the branches that it needs, though others have trained the same."""

    def changed(arguments: argparse.Namespace) -> tuple[Study, Contents]:
        study, contents = requested_study(arguments)
        return OwnBranches(**{field.name: getattr(study, field.name) for field in fields(study)}), contents

    return patch.object(launch, "requested_study", changed)


OTHERWISE: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "nothing": nullcontext,
    "no-reuse": without_reuse,
    "own-branches": with_own_branches,
}


def confine(cpus: int) -> None:
    """Keeps this process, and all that it starts, to so many processors; only Linux can.

    Raises:
        SystemExit: If there are not so many.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    there = sorted(os.sched_getaffinity(0))
    if len(there) < cpus:
        raise SystemExit(f"--cpus: {cpus} asked for, and this process may use {len(there)}")
    os.sched_setaffinity(0, there[:cpus])


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="A launch of which one thing may be otherwise.", allow_abbrev=False)
    parser.add_argument("--cpus", type=int, required=True)
    parser.add_argument("--otherwise", choices=tuple(OTHERWISE), default="nothing")
    arguments, words = parser.parse_known_args(argv)
    confine(arguments.cpus)
    with OTHERWISE[arguments.otherwise]():
        return launch.main(words)


if __name__ == "__main__":
    sys.exit(main())
