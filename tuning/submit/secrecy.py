"""Passwords in what would travel with a job: its command line and its space file stand on the dashboard."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from pamfn.credentials import held
from tuning.faults import UNSET, Fault

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
_OF_AMAZON = re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")

RULE = "holds a password, and what a job is given stands on the cluster's dashboard"
SERVER = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or MLFLOW_TRACKING_TOKEN, or ~/.mlflow/credentials)"
DATABASE = "a password file (~/.pgpass, ~/.my.cnf) or PGPASSWORD"
BUCKET = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or ~/.aws/credentials)"


def holds_a_password(text: str) -> bool:
    """Returns whether a URI in a text holds credentials, or the name of an Amazon key stands in it."""
    return any(held(uri[0]) for uri in _URI.finditer(text)) or bool(_OF_AMAZON.search(text))


def password_faults(words: Sequence[str], space: str) -> Iterator[Fault]:
    """Yields a fault for each word of a command line, and each line of a space file, that holds a password.

    Args:
        words: The command line.
        space: The space file's text.
    """
    for option, value in _valued(words):
        if holds_a_password(value):
            yield Fault(option, "", UNSET, RULE, _way_out(value))
    for number, line in enumerate(space.splitlines(), start=1):
        if holds_a_password(line):
            yield Fault(number, "", UNSET, RULE, _way_out(line))


def _valued(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields every word with the option that it belongs to."""
    option = "command line"
    for word in words:
        name, equals, value = word.partition("=")
        if word.startswith("--"):
            option = name
        yield option, value if word.startswith("--") and equals else word


def _way_out(text: str) -> str:
    found = _URI.search(text)
    scheme = urlsplit(found[0].split("@")[0]).scheme.split("+")[0] if found else ""
    where = DATABASE if scheme in ("postgresql", "mysql", "mssql") else BUCKET if scheme in ("s3", "gs", "") else SERVER
    return f"leave it out, and give it on the cluster's nodes by {where}"
