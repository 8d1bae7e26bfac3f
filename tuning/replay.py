"""A study's journal gone through again: whether its search would decide today what it decided then.

python -m tuning.replay STUDY [--storage DIR]

Exit 0: every suggestion and decision is reproduced; 1: one is not, and the first is shown; 2: there is no such study.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from tuning.search.journal import FILE, Event
from tuning.search.replay import Replay, replay
from tuning.storage import absolute, within
from tuning.study_file import read_launched
from tuning.study_search import journal_at, settings_of

REPRODUCED, DIFFERENT, WRONG = 0, 1, 2
SHOWN = 300  # characters of an event


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    options = _parser().parse_args(argv)
    try:
        found = replayed(absolute(options.storage), options.study)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return WRONG
    sys.stdout.write(f"{told(found)}\n")
    return REPRODUCED if found.difference is None else DIFFERENT


def replayed(root: str, name: str) -> Replay:
    """Goes through the journal of a study again.

    Args:
        root: Folder of all studies.
        name: Name of the study.

    Raises:
        ValueError: If there is no such study, or its files are damaged.
    """
    study = read_launched(root, name)
    journal = journal_at(within(root, name)) if study is not None else None
    if study is None or journal is None or not journal.events:
        raise ValueError(f"STUDY: {name!r} has no {FILE} in {root}; give the name of a study and its --storage")
    return replay(study.space.region, settings_of(study, 1), journal.events)


def told(found: Replay) -> str:
    """Returns what came of it in lines."""
    if found.difference is None:
        return f"{found.decisions} suggestions and decisions, all reproduced"
    where = f"{found.decisions} suggestions and decisions reproduced, and not that of line {found.difference.line}"
    return f"{where}:\n  then: {_shown(found.difference.then)}\n  now:  {_shown(found.difference.now)}"


def _shown(event: Event | None) -> str:
    """Returns an event without what was told to the search: its decision alone."""
    if event is None:
        return "nothing"
    text = json.dumps({name: value for name, value in event.items() if name not in ("time", "result")})
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tuning.replay", description="Check that a study's decisions can be reproduced."
    )
    parser.add_argument("study", metavar="STUDY", help="name of the study")
    parser.add_argument("--storage", default="studies", metavar="DIR", help="folder of all studies")
    return parser


if __name__ == "__main__":
    sys.exit(main())
