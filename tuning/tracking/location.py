"""Where runs are kept: the tracking URI, checked before a study starts, and the folder of the artefacts."""

from __future__ import annotations

import fcntl
import http.client
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pamfn import credentials
from tuning.secrets import redacted, tracking_fault
from tuning.storage import within

DATABASES = ("postgresql", "mysql", "mssql")
SQLITE = ("sqlite", "sqlite+pysqlite")
SQLITE_HEADER = b"SQLite format 3\0"


class TrackingError(RuntimeError):
    """MLflow refused or could not be reached; the message is one line with the URI and the way out."""


def check_tracking(uri: str) -> list[str]:
    """Returns what is wrong with a tracking URI, one line a fault; nothing is created.

    Accepted are ``sqlite:///FILE``, the database URIs of SQLAlchemy and ``http(s)://`` servers, without credentials.
    """
    if fault := tracking_fault(uri):
        return [fault]
    way_out = "give sqlite:///FILE, postgresql://... or http://HOST:PORT"
    try:
        scheme = urlsplit(uri).scheme
    except ValueError as error:
        return [f"tracking URI {uri!r}: not a URI ({error}); {way_out}"]
    if scheme in SQLITE:
        return _check_sqlite(uri)
    if scheme in ("http", "https"):
        return _check_server(uri)
    if scheme.split("+")[0] in DATABASES:
        return _check_database(uri)
    return [f"tracking URI {uri!r}: not a database or a server; {way_out}"]


def check_existing(uri: str) -> list[str]:
    """Returns what is wrong with a tracking URI from which something is to be read, one line a fault."""
    if faults := check_tracking(uri):
        return faults
    if urlsplit(uri).scheme in SQLITE and not sqlite_file(uri).exists():
        return [f"tracking URI {uri!r}: there is no file {sqlite_file(uri)}; give the --tracking-uri of the launch"]
    return []


def absolute(uri: str) -> str:
    """Returns the URI with a relative SQLite file made absolute, so that it means the same from every folder."""
    if urlsplit(uri).scheme.split("+")[0] != "sqlite":
        return uri
    return f"sqlite:///{sqlite_file(uri)}"


def sqlite_file(uri: str) -> Path:
    """Returns the absolute path of a SQLite URI's file."""
    return Path(uri.split(":///", 1)[1].split("?", 1)[0]).absolute()


def artifact_folder(uri: str, storage: str) -> str | None:
    """Returns where artefacts go: beside a SQLite file, else under the storage; None where a server decides."""
    scheme = urlsplit(uri).scheme.split("+")[0]
    if scheme == "sqlite":
        return str(sqlite_file(uri).parent / "mlartifacts")
    return None if scheme in ("http", "https") else within(storage.partition("?")[0], "mlartifacts")


def client_of(uri: str) -> Any:
    """Returns an explicit ``MlflowClient``; importing MLflow takes two seconds, so it happens here and not before.

    Its progress messages are silenced, and its usage reports too unless ``MLFLOW_DISABLE_TELEMETRY`` says otherwise.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=absolute(uri))


@contextmanager
def alone(uri: str) -> Iterator[None]:
    """Keeps other launches on this machine from making a SQLite database at the same time, which ends in neither.

    The lock is on the database's folder, so that nothing is left behind; servers see to it themselves.
    """
    if urlsplit(uri).scheme.split("+")[0] != "sqlite":
        yield
        return
    folder = sqlite_file(uri).parent
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _check_sqlite(uri: str) -> list[str]:
    if ":///" not in uri or uri.split(":///", 1)[1].split("?", 1)[0] in ("", ":memory:"):
        return [f"tracking URI {uri!r}: names no file; give sqlite:///FILE"]
    path = sqlite_file(uri)
    try:
        if path.is_dir():
            return [f"tracking URI {uri!r}: {path} is a folder; give sqlite:///{path / 'mlflow.db'}"]
        if path.exists():
            return _check_sqlite_file(uri, path)
    except OSError as error:
        return [f"tracking URI {uri!r}: its file cannot be looked up ({error.strerror}); give another file"]
    parent = next(folder for folder in path.parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        return [f"tracking URI {uri!r}: {path} cannot be created, {parent} is not a folder you may write to"]
    return []


def _check_sqlite_file(uri: str, path: Path) -> list[str]:
    if not os.access(path, os.R_OK | os.W_OK):
        return [f"tracking URI {uri!r}: you may not read and write {path}; change its owner or give another file"]
    with path.open("rb") as file:
        head = file.read(len(SQLITE_HEADER))
    if head and head != SQLITE_HEADER:
        return [f"tracking URI {uri!r}: {path} is not a SQLite database; give another file"]
    return []


def _check_server(uri: str, seconds: float = 5.0) -> list[str]:
    shown = without_password(uri)
    try:
        with urllib.request.urlopen(f"{without_user(uri).rstrip('/')}/health", timeout=seconds):
            pass
    except urllib.error.HTTPError as error:
        way_out = "allow this host name on the server (--allowed-hosts)" if error.code == 403 else "is it MLflow?"
        return [f"tracking URI {shown!r}: the server answered {error.code} {error.reason}; {way_out}"]
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        return [f"tracking URI {shown!r}: no answer ({reason}); start it with `mlflow server`, or give sqlite:///FILE"]
    return _check_access(uri)


def _check_access(uri: str) -> list[str]:
    from mlflow.exceptions import MlflowException

    try:
        client_of(uri).search_experiments(max_results=1)
    except MlflowException as error:
        way_out = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        return [f"tracking URI {without_password(uri)!r}: refused ({first_line(error)}); {way_out}"]
    return []


def _check_database(uri: str) -> list[str]:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    shown = without_password(uri)
    try:
        engine = create_engine(uri)
        with engine.connect():
            pass
        engine.dispose()
    except ModuleNotFoundError as error:
        return [f"tracking URI {shown!r}: the driver {error.name!r} is not installed; pip install it"]
    except SQLAlchemyError as error:
        return [f"tracking URI {shown!r}: cannot connect ({first_line(error)}); is the database running?"]
    return []


def without_user(uri: str) -> str:
    """Returns a server's URI without user and password, which ``urllib`` takes for a part of the host's name."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def without_password(uri: str) -> str:
    """Returns a URI as it may be shown."""
    return credentials.redacted(uri)


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message, at most 200 characters, without secrets."""
    lines = redacted(str(error)).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]
