"""The command line of a submission: what is its own, and what goes on to the launch."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from tuning import request
from tuning.secrets import Parser

COMMAND = ("python", "-m", "tuning.submit")
LAST = "LAST"  # stands for --resume without a name


def parse(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Returns the options of a submission, and the words that are the launch's.

    Leaves with exit status 2 and the usage if they contradict each other.
    """
    parser = Parser(
        prog=" ".join(COMMAND),
        usage=f"{' '.join(COMMAND)} --address http://HOST:8265 --space FILE [the options of tuning.launch]",
        description="Run a study as a job of a Ray cluster: ships the code and the space file, follows the log, and "
        "ends with the study's exit status. Ctrl-C stops following; the study goes on.",
        epilog="Every other option is one of `python -m tuning.launch --help`, for the cluster: --storage, --data and "
        "--tracking-uri are locations as its nodes see them. Passwords are never shipped: they come from the "
        "environment, or from files, of the nodes.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    server = "the cluster's job server, http://HOST:8265 (default: RAY_API_SERVER_ADDRESS)"
    add("--address", default=os.environ.get("RAY_API_SERVER_ADDRESS"), metavar="URL", help=server)
    again = "go on with a study: with NAME as it was submitted last, otherwise as the other options say"
    add("--resume", nargs="?", const=LAST, metavar="NAME", help=again)
    add("--no-wait", action="store_true", help="submit, and do not follow the log")
    add("--follow", metavar="JOB", help="follow a job that was submitted before, by its id or by its study's name")
    add("--stop", metavar="NAME", help="end a study as Ctrl-C ends a launch, so that it can be resumed")
    add("--list-shipped", action="store_true", help="print what would be shipped and what not, and submit nothing")
    own, rest = parser.parse_known_args(words)
    if sum(map(bool, (own.follow, own.stop, own.list_shipped))) > 1:
        parser.error("--follow, --stop and --list-shipped exclude each other")
    if (own.follow or own.stop) and (rest or own.resume or own.no_wait):
        parser.error("--follow and --stop take --address and nothing else")
    if own.address is None and not own.list_shipped:
        parser.error("--address is missing: give http://HOST:8265, the address of the cluster's dashboard")
    return own, rest


def launch_options(words: Sequence[str]) -> argparse.Namespace:
    """Returns the words of a launch as its options; leaves with exit status 2 if they are none."""
    return request.parse(words, command=COMMAND)


def without(words: Sequence[str], *options: str) -> list[str]:
    """Returns a command line without some options and their values."""
    kept, skip = list[str](), False
    for word in words:
        if skip or word in options:
            skip = not skip
        elif word.partition("=")[0] not in options:
            kept.append(word)
    return kept
