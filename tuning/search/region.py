"""The region that a study searches, as the search names it; it is defined below, where a space file is checked."""

from tuning.region import FINITE, Region, spelled

__all__ = ["FINITE", "Region", "spelled"]
