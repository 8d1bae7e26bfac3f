"""Secrets stay where they are: in the environment or in files, and out of every URI, message and record.

A password in ``--tracking-uri`` is refused rather than taken and forgotten. It stands in the list of processes and in
the shell's history already when we are asked; the command that resumes the study could not be the one that began it;
and there is a place for it that MLflow and the databases' drivers read by themselves.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping
from typing import NoReturn
from urllib.parse import quote, urlsplit

from pamfn import credentials

_NAMED = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIALS?$|API_?KEY|ACCESS_KEY$")
_LOCATED = re.compile(r"_(?:PATH|FILE|DIR|URL|URI|ID|MODE)$")
SHORTEST = 6  # characters of a value that is looked for in texts: a shorter one would be found in any

_WAYS = {
    "http": "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, or write the first "
    "two into ~/.mlflow/credentials",
    "postgresql": "set PGPASSWORD, or write it into ~/.pgpass",
    "mysql": "write it into ~/.my.cnf, and ?read_default_file=~/.my.cnf into the URI",
}
_OTHER_WAY = "run `mlflow server` in front of the database, and give http://HOST:PORT"


class Parser(argparse.ArgumentParser):
    """A parser whose refusals do not repeat the credentials in a word that it does not know."""

    def error(self, message: str) -> NoReturn:
        """Leaves with exit status 2, the usage and the message."""
        super().error(redacted(message))


def tracking_fault(uri: str) -> str:
    """Returns why a tracking URI is refused, if it holds credentials, with the way out; else nothing."""
    found = credentials.held(uri)
    if not found:
        return ""
    kind = uri.partition(":")[0].partition("+")[0].lower()
    way_out = _WAYS.get("http" if kind == "https" else kind, _OTHER_WAY)
    rule = f"tracking URI: holds {found}, and a URI is repeated where others read it"
    return f"{rule}; {way_out}, and give {credentials.without_credentials(uri)!r}"


def redacted(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Returns a text without the credentials of the URIs in it, and without the secrets of the environment.

    It stands before whatever others have worded, such as an exception's message.

    Args:
        text: The text.
        environment: The environment; by default this process's.
    """
    text = credentials.redacted(text)
    for secret in _secrets(os.environ if environment is None else environment):
        text = text.replace(secret, credentials.MASK)
    return text


def _secrets(environment: Mapping[str, str]) -> list[str]:
    """Returns the values of variables that are named as secrets are, as they are and as a URI spells them."""
    named = (v for k, v in environment.items() if _NAMED.search(k.upper()) and not _LOCATED.search(k.upper()))
    found = {spelled for value in named for spelled in (value, quote(value, safe="")) if len(value) >= SHORTEST}
    passwords = (_password(v) for k, v in environment.items() if re.search(r"_UR[IL]$", k.upper()))
    return sorted({*found, *filter(None, passwords)}, key=len, reverse=True)


def _password(uri: str) -> str:
    """Returns the password in a variable that holds a URI, such as ``DATABASE_URL``."""
    try:
        password = urlsplit(uri).password or ""
    except ValueError:
        return ""
    return password if len(password) >= SHORTEST else ""
