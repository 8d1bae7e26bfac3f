"""Who may submit: the token of a cluster's job server, and what its refusals mean."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

WAY_OUT = (
    "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH=FILE, to the token that the head node was "
    "started with"
)


class SubmitError(RuntimeError):
    """A job cannot be submitted, followed or stopped; the message is one line with the way out."""


def authorization(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Returns the headers that show a token to the job server; none where authentication is not asked for.

    The token is looked for where Ray looks: in RAY_AUTH_TOKEN, in the file of RAY_AUTH_TOKEN_PATH, in
    ``~/.ray/auth_token``. The last one counts only under RAY_AUTH_MODE=token; one that is named is meant.

    Raises:
        SubmitError: If a token is asked for and there is none.
    """
    mode = environment.get("RAY_AUTH_MODE", "").lower()
    if mode == "disabled":
        return {}
    token, file = environment.get("RAY_AUTH_TOKEN", "").strip(), environment.get("RAY_AUTH_TOKEN_PATH", "")
    if not token and (file or mode == "token"):
        token = _read(Path(file).expanduser() if file else Path.home() / ".ray" / "auth_token")
    return {"Authorization": f"Bearer {token}"} if token else {}


def refusal(status: int, address: str) -> str:
    """Returns what a refusal by the job server means, one line."""
    if status == 401:
        return f"--address: {address} asks for a token and got none (401); {WAY_OUT}"
    return f"--address: {address} does not take this token (403); {WAY_OUT}"


def _read(file: Path) -> str:
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise SubmitError(f"RAY_AUTH_MODE=token: the token cannot be read from {file} ({reason}); {WAY_OUT}") from error
    if not token:
        raise SubmitError(f"RAY_AUTH_MODE=token: {file} is empty; {WAY_OUT}")
    return token
