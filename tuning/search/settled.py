"""Whether another trial is still worth its time."""

from __future__ import annotations

from collections.abc import Sequence

from tuning.search.proposing import Observation
from tuning.search.region import Region


def settled(region: Region, observations: Sequence[Observation]) -> str | None:
    """Returns why no further trial is worth starting; None as long as one is."""
    return None
