"""The page of a report as an artefact of its study's run, to be opened from MLflow's own pages."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tuning.storage import open_store
from tuning.tracking import StudyResults
from tuning.tracking.location import client_of
from tuning.tracking.told import ToldClient

PAGE = "report.html"


def keep_page(results: StudyResults, folder: str) -> None:
    """Keeps ``report.html`` of a study's folder or URI in MLflow, in the place of an earlier one.

    Raises:
        TrackingError: If MLflow cannot take it; one line.
    """
    with tempfile.TemporaryDirectory() as copies:
        path = Path(copies, PAGE)
        open_store(folder).get(PAGE, path)
        ToldClient(client_of(results.uri), results.uri).log_artifact(results.study_run_id, str(path))
