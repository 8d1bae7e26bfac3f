"""A study in MLflow: one study run, one flat run a trial, found again by tag.

:class:`Tracker` writes (in the driver only), :func:`read_study` reads back what a report needs.
"""

from tuning.tracking.location import TrackingError, check_tracking
from tuning.tracking.record import DataRecord, StudyRecord
from tuning.tracking.tracker import Tracker

__all__ = ["DataRecord", "StudyRecord", "Tracker", "TrackingError", "check_tracking"]
