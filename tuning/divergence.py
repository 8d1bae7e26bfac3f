"""How a trial says that some of its networks cannot go on."""

from __future__ import annotations

from collections.abc import Sequence


class BranchDiverged(ValueError):  # noqa: N818  # reads as what happened
    """Phase 1 ended in numbers that are not finite; the message says why and names the branch."""


def first_fault(names: Sequence[str], ended: Sequence[str]) -> str:
    """Returns why the first of the ended networks ended, its name, and how many more there are; empty if none did.

    Args:
        names: Names of the networks.
        ended: Why each cannot go on; empty for a healthy one.
    """
    faults = [(name, why) for name, why in zip(names, ended, strict=True) if why]
    if not faults:
        return ""
    (name, why), others = faults[0], len(faults) - 1
    return f"{why} ({name}{f' and {others} more' if others else ''})"
