"""Credentials in URIs: found, and left out of whatever is shown or written.

A URI is repeated in messages, records, reports and command lines, so it is no place for a password: what a location
needs to be opened comes from the environment or a file (see `held`, which names what stands where it must not).
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

MASK = "***"

_WORDS = r"(?:password|passwd|pwd|secret|token|signature|credential|api[_-]?key|access[_-]?key|odbc_connect)"
_PAIR = re.compile(rf"(?<![\w.-])([\w.-]*{_WORDS}[\w.-]*)=[^&;,#\s'\"]+", re.IGNORECASE)
_NAME = re.compile(rf"[\w.-]*{_WORDS}[\w.-]*|sig", re.IGNORECASE)
_URI = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*)(://?)([^\s'\"<>]+)")
_ODBC_PASSWORD = re.compile(r"\bpwd\s*=", re.IGNORECASE)
_HOST = re.compile(r"(?:\[[^\]]*\]|[^:]*)(?::\d*)?")  # and a port
_DATABASES = ("postgres", "mysql", "mariadb", "mssql", "oracle", "redis", "mongodb")
_OBJECTS = ("s3", "s3a", "gs", "gcs", "abfs", "abfss")
_ANONYMOUS = ("http", "https")  # a user without a password may be a token there


def held(uri: str) -> str:
    """Returns what credentials a URI holds, such as ``a password``; empty if it holds none.

    A user alone is none, but for servers of the web, where it may be a token.
    """
    scheme, mark, rest = uri.partition("://")
    if not mark:
        return ""
    scheme = scheme.lower()
    user, at, _ = _parted(scheme, rest)
    if at and ":" in user:
        return "a secret key" if scheme in _OBJECTS else "a password"
    if at and scheme in _ANONYMOUS:
        return "a user or token"
    try:
        query = parse_qsl(urlsplit(uri).query)
    except ValueError:
        query = []
    named = [pair[0] for pair in query if _is_secret(pair)]
    return f"the credential {named[0]!r}" if named else ""


def redacted(text: str) -> str:
    """Returns a text with the credentials of every URI in it masked, also of one that was taken for a path."""
    return _URI.sub(lambda found: found[1] + found[2] + _masked(found[1].lower(), found[3]), text)


def without_credentials(uri: str) -> str:
    """Returns a URI as it may be given and kept: without password, keys and tokens; a database's user stays."""
    scheme, mark, rest = uri.partition("://")
    if not mark:
        return uri
    user, at, place = _parted(scheme.lower(), rest)
    if at and ":" not in user and scheme.lower() not in _ANONYMOUS:
        place = rest
    elif at and scheme.lower().startswith(_DATABASES):
        place = f"{user.partition(':')[0]}@{place}"
    path, asked, query = place.partition("?")
    pairs = [pair for pair in query.split("&") if not any(map(_is_secret, parse_qsl(pair, keep_blank_values=True)))]
    return scheme + mark + path + (asked + "&".join(pairs) if pairs != [""] and pairs else "")


def _is_secret(pair: tuple[str, str]) -> bool:
    name, value = pair
    odbc = name.lower() == "odbc_connect"
    return bool(_NAME.fullmatch(name)) and (not odbc or bool(_ODBC_PASSWORD.search(unquote(value))))


def _masked(scheme: str, rest: str) -> str:
    user, at, place = _parted(scheme, rest)
    name, colon, _ = user.partition(":")
    if at and scheme in _ANONYMOUS:
        rest = f"{MASK}@{place}"
    elif colon:
        rest = f"{name}:{MASK}@{place}"
    return _PAIR.sub(rf"\1={MASK}", rest)


def _parted(scheme: str, rest: str) -> tuple[str, str, str]:
    """Parts what follows a scheme into user with password, the ``@``, and the place.

    By rule the user ends at the last ``@`` before the first slash. People forget to escape the slashes of a password:
    where there is one, or may be one, the last ``@`` of all counts.
    """
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, at, _ = authority.rpartition("@")
    has_password = ":" in user if at else not _HOST.fullmatch(authority) or scheme.startswith(_DATABASES)
    if at and not has_password:
        return user, at, rest[len(user) + 1 :]
    user, at, place = rest.rpartition("@")
    return (user, at, place) if at and has_password else ("", "", rest)
