"""The error of every reading and writing of data: all faults of a source at once, one line each."""

from __future__ import annotations

from collections.abc import Iterable


class ShardError(ValueError):
    """Data that cannot be used as it is.

    Args:
        faults: One line a fault, each naming file, video and rule.

    Attributes:
        faults: The same lines, as a list.
    """

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = list(faults)
        super().__init__("\n".join(self.faults))

    def __reduce__(self) -> tuple[type[ShardError], tuple[list[str]]]:
        return type(self), (self.faults,)
