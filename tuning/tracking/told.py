"""What MLflow refuses or cannot do, told in one line."""

from __future__ import annotations

from functools import wraps
from typing import Any

from tuning.tracking.location import TrackingError, first_line, without_password


class ToldClient:
    """An ``MlflowClient`` whose failures are :class:`TrackingError`: a server can go away in the middle of a study.

    MLflow has tried again for some minutes by then (``MLFLOW_HTTP_REQUEST_MAX_RETRIES``).

    Args:
        client: The client.
        uri: Its tracking URI, for the message.
    """

    def __init__(self, client: Any, uri: str) -> None:
        self._client = client
        self._uri = uri

    def __getattr__(self, name: str) -> Any:
        """Returns what the client has; a method tells of its failures in one line."""
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        found = getattr(self._client, name)
        if not callable(found):
            return found

        @wraps(found)
        def told(*arguments: Any, **named: Any) -> Any:
            try:
                return found(*arguments, **named)
            except (MlflowException, SQLAlchemyError) as error:
                shown = without_password(self._uri)
                why = first_line(error).replace(self._uri, shown)
                raise TrackingError(f"MLflow at {shown}: {why}; see that it runs, then --resume the study") from error

        return told
