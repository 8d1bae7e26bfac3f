"""The error of a checkpoint that cannot be imported: all of its faults at once, one line each."""

from __future__ import annotations

from collections.abc import Iterable


class CheckpointError(ValueError):
    """A checkpoint that cannot be used as it is.

    Args:
        faults: One line a fault.

    Attributes:
        faults: The same lines, as a list.
    """

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = list(faults)
        super().__init__("\n".join(self.faults))
