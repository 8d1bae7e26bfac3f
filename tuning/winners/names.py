"""What a model is registered as: ``pamfn-<class>``, whatever characters a class is called by."""

from __future__ import annotations

import hashlib
import re

LONGEST = 60
_REFUSED = re.compile(r"[^A-Za-z0-9_.-]+")


def registered_name(action: str) -> str:
    """Returns the name of the registered model of a class.

    A class whose name MLflow, a file system or a URI could take amiss has those characters replaced and a digest of
    its whole name added, so that two classes never share a registered model.
    """
    plain = _REFUSED.sub("_", action).strip("._-")[:LONGEST]
    if plain == action:
        return f"pamfn-{action}"
    digest = hashlib.sha256(action.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"pamfn-{plain}-{digest}" if plain else f"pamfn-{digest}"
