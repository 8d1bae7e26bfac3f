"""The search: which configurations to try (HyperOpt) and which trials to stop early (guarded ASHA)."""

from tuning.search.asha import GuardedASHA, make_scheduler
from tuning.search.rungs import Decision, Rungs
from tuning.search.searcher import StudySearcher, make_searcher

__all__ = ["Decision", "GuardedASHA", "Rungs", "StudySearcher", "make_scheduler", "make_searcher"]
