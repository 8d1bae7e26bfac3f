"""What is wrong with a request: every fault at once, each naming the field, what was given and what is wanted."""

from __future__ import annotations

from collections.abc import Sequence

from pamfn.data.rules import counted

MOST = 20  # faults that a message lists
LONGEST = 80  # characters of a value that a message shows


class RequestError(ValueError):
    """A request that cannot be answered.

    Args:
        faults: One line each.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        more = [f"and {counted(len(faults) - MOST, 'fault')} more"] if len(faults) > MOST else []
        super().__init__("\n".join([*faults[:MOST], *more]))
        self.faults = list(faults)


def shown(value: object) -> str:
    """Returns a value as a message shows it, cut if it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
