"""A study in MLflow: one study run, one flat run a trial, found again by tag.

:class:`Tracker` writes (in the driver only), :func:`read_study` reads back what a report or a summary needs.
"""

from tuning.tracking.links import charts_page, compare_page, ui_command
from tuning.tracking.location import TrackingError, check_existing, check_tracking, without_password
from tuning.tracking.reading import StudyResults, TrialResult, read_study
from tuning.tracking.record import DataRecord, StudyRecord
from tuning.tracking.tracker import Tracker

__all__ = [
    "DataRecord",
    "StudyRecord",
    "StudyResults",
    "Tracker",
    "TrackingError",
    "TrialResult",
    "charts_page",
    "check_existing",
    "check_tracking",
    "compare_page",
    "read_study",
    "ui_command",
    "without_password",
]
