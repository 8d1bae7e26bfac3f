"""What MLflow refuses or cannot do, told in one line, and which of the two it is."""

from __future__ import annotations

from functools import wraps
from typing import Any

from tuning.tracking.location import TrackingError, first_line, without_password

REFUSALS = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "INVALID_STATE")
"""MLflow's own words for what it will refuse again."""

BUSY = (
    "TEMPORARILY_UNAVAILABLE",
    "RESOURCE_EXHAUSTED",
    "REQUEST_LIMIT_EXCEEDED",
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
)
"""Its words for what passes, by itself or when somebody has seen to the server."""


class RefusedError(TrackingError):
    """MLflow does not take what it was given, and will not when it is given it again."""


class AwayError(TrackingError):
    """MLflow could not be reached, or could not do what was asked of it now.

    Attributes:
        answered: Whether it was there and answered that it failed.
    """

    answered = False


class ToldClient:
    """An ``MlflowClient`` whose failures are :class:`TrackingError`: a server can go away in the middle of a study.

    Args:
        client: The client.
        uri: Its tracking URI, for the message.
    """

    def __init__(self, client: Any, uri: str) -> None:
        self._client = client
        self._uri = uri

    def __getattr__(self, name: str) -> Any:
        """Returns what the client has; a method tells of its failures in one line."""
        found = getattr(self._client, name)
        if not callable(found):
            return found

        @wraps(found)
        def told(*arguments: Any, **named: Any) -> Any:
            try:
                return found(*arguments, **named)
            except Exception as error:  # those of whatever store the artefacts are in, too
                shown = without_password(self._uri)
                why = first_line(error).replace(self._uri, shown)
                raise _kind(error, self._uri)(f"MLflow at {shown}: {why}") from error

        return told


def _kind(error: Exception, uri: str) -> type[TrackingError]:
    """Returns whether a failure will pass: only an answer of MLflow itself says that it will not."""
    from mlflow.exceptions import MlflowException, RestException
    from sqlalchemy.exc import SQLAlchemyError

    if isinstance(error, (OSError, SQLAlchemyError)):
        return FailedError if getattr(error, "response", None) is not None else AwayError
    if isinstance(error, MlflowException) and uri.startswith("http") and not isinstance(error, RestException):
        return AwayError  # nobody is there, or somebody before it says so
    code = getattr(error, "error_code", "")
    return RefusedError if code in REFUSALS else AwayError if code in BUSY else FailedError


class FailedError(AwayError):
    """MLflow answered that it failed, as it does when something in it is wrong, or in what it was given."""

    answered = True
