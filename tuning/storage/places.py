"""Locations: ``/path``, ``file:///path`` and ``s3://bucket/prefix?endpoint_override=...``, one syntax everywhere.

A URI means here what it means to ``pyarrow.fs``, which reads shards. Of its options ``endpoint_override``, ``scheme``
and ``region`` are taken; without the first, ``AWS_ENDPOINT_URL`` says which server. Who one is comes from the
environment or a profile, as every AWS client reads it, and never from a URI: that is written into records and pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from pamfn import credentials

OPTIONS = ("endpoint_override", "scheme", "region")


@dataclass(frozen=True)
class Bucket:
    """A prefix in a bucket.

    Args:
        name: The bucket.
        prefix: What every key begins with; empty, or it ends in a slash.
        endpoint: URL of the server; None where the environment says which, or it is AWS.
        region: Region of the bucket; None where the environment says which.
    """

    name: str
    prefix: str
    endpoint: str | None
    region: str | None


def absolute(location: str | Path) -> str:
    """Returns a folder as an absolute path, also one that is given as a ``file:`` URI; another URI stays as it is."""
    text = str(location)
    if text.startswith("file://"):
        text = unquote(urlsplit(text).path)
    if "://" not in text:
        return str(Path(text).expanduser().resolve())
    place, mark, options = text.partition("?")
    return place.rstrip("/") + mark + options


def is_remote(location: str) -> bool:
    """Tells whether a location is no folder of this machine."""
    return "://" in location and not location.startswith("file://")


def within(location: str, *names: str) -> str:
    """Returns what lies below a location; the options of a URI stay at its end."""
    place, mark, options = location.partition("?") if is_remote(location) else (location, "", "")
    return "/".join([place.rstrip("/"), *names]) + mark + options


def above(location: str) -> str:
    """Returns what a location lies in."""
    place, mark, options = location.partition("?") if is_remote(location) else (location, "", "")
    return place.rstrip("/").rpartition("/")[0] + mark + options


def bucket_of(location: str) -> Bucket:
    """Returns the bucket that a URI names; see ``place_faults`` for whether it names one."""
    parts, options = urlsplit(location), parse_qs(urlsplit(location).query)
    given = {name: values[-1] for name, values in options.items()}
    endpoint = given.get("endpoint_override")
    if endpoint and "://" not in endpoint:
        endpoint = f"{given.get('scheme', 'https')}://{endpoint}"
    prefix = unquote(parts.path).strip("/")
    return Bucket(parts.netloc, f"{prefix}/" if prefix else "", endpoint, given.get("region"))


def place_faults(location: str) -> tuple[str, str] | None:
    """Returns the rule that a location of studies breaks, and the way out; None if it breaks none.

    Neither names what a URI says of who one is.
    """
    if not is_remote(location):
        return None
    parts = urlsplit(location)
    if says_who(location):
        return "a URI with credentials would be written into records", f"leave them out; {CREDENTIALS}"
    if parts.scheme != "s3" or not parts.netloc:
        return "is neither a folder nor a bucket", "give a folder that every node mounts, or s3://BUCKET/PREFIX"
    unknown = [name for name in parse_qs(parts.query, keep_blank_values=True) if name not in OPTIONS]
    if unknown:
        return f"has the option {unknown[0]!r}", f"a URI may have {', '.join(OPTIONS)}"
    return None


CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, on every node"


def says_who(location: str) -> bool:
    """Tells whether a URI bears a user or a password."""
    return is_remote(location) and ("@" in urlsplit(location).netloc or bool(credentials.held(location)))


def without_credentials(location: str) -> str:
    """Returns a URI as it may be shown."""
    if not says_who(location):
        return location
    scheme, _, rest = location.partition("://")
    return credentials.redacted(f"{scheme}://***@{rest.rpartition('@')[2]}" if "@" in rest else location)
