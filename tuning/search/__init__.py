"""The search: which configurations to try, and which trials to stop, to let wait or to continue.

``core`` takes every decision and knows nothing of Ray; ``asha`` and ``searcher`` are Ray Tune's two sides of it.
"""

from tuning.search.core import StudySearch, Verdict, Work
from tuning.search.journal import Journal, JournalError
from tuning.search.proposing import Observation
from tuning.search.region import Region
from tuning.search.rungs import Decision, Rungs
from tuning.search.settings import SearchSettings
from tuning.search.trials import SearchedTrial

__all__ = [
    "Decision",
    "Journal",
    "JournalError",
    "Observation",
    "Region",
    "Rungs",
    "SearchSettings",
    "SearchedTrial",
    "StudySearch",
    "Verdict",
    "Work",
]
