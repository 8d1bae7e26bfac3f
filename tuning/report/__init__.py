"""The report of a study, from what MLflow and the study's journal hold of it, or of two studies side by side.

python -m tuning.report rg --tracking-uri sqlite:///mlflow.db --storage studies
python -m tuning.report rg fisv
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from tuning.faults import SpaceError
from tuning.report.against import NotComparable, pair
from tuning.report.against_page import against_page
from tuning.report.artefact import PAGE, keep_page
from tuning.report.devices import study_run
from tuning.report.files import best_text, table_bytes, write_whole
from tuning.report.history import read_history
from tuning.report.models import models_text
from tuning.report.page import Told, page
from tuning.secrets import Parser
from tuning.selection.openings import openings_told
from tuning.storage import absolute, within
from tuning.storage.places import above
from tuning.tracking import StudyResults, TrackingError, check_existing, read_study

__all__ = ["keep_page", "main", "write_comparison", "write_report"]


def write_report(results: StudyResults, folder: str) -> list[str]:
    """Writes ``results.parquet``, ``best.yaml`` and ``report.html`` into a folder or URI; returns their paths.

    There is no ``best.yaml`` while no trial has a score. A study that compares something has its tables as Markdown
    besides, in ``comparison.md``. The journal is read from the folder, and how often the test split was opened from
    the one above.

    Raises:
        TrackingError: If MLflow cannot be read; one line.
    """
    openings = openings_told(above(folder), results.name, results.tags.get("data_digest", ""))
    told = Told(study_run(results), read_history(folder), openings, time.time())
    contents = {"results.parquet": table_bytes(results), PAGE: page(results, told).encode(errors="replace")}
    if tables := models_text(results):
        contents["comparison.md"] = tables.encode()
    opened = results.final is not None or bool(openings)
    if ranked := results.ranked():
        contents["best.yaml"] = best_text(results, ranked[0], opened=opened).encode()
    return [write_whole(folder, name, content) for name, content in sorted(contents.items())]


def write_comparison(one: StudyResults, other: StudyResults, folder: str) -> list[str]:
    """Writes ``against-<other>.html`` into the first study's folder or URI; returns its path.

    Raises:
        NotComparable: If the studies have no score in common; one line.
    """
    content = against_page(pair(one, other), time.time()).encode(errors="replace")
    return [write_whole(folder, f"against-{other.name}.html", content)]


def main(argv: Sequence[str] | None = None) -> int:
    """Rebuilds a study's report, or compares two; returns 0, or 2 with one line on standard error if it cannot."""
    options = _parser().parse_args(argv)
    if faults := check_existing(options.tracking_uri):
        return _refused(faults)
    try:
        results = read_study(options.tracking_uri, options.study)
        folder = within(absolute(options.storage), options.study)
        if options.other is None:
            files = write_report(results, folder)
            if options.keep:
                keep_page(results, folder)
        else:
            files = write_comparison(results, read_study(options.tracking_uri, options.other), folder)
    except (TrackingError, SpaceError, NotComparable, OSError) as error:
        return _refused(str(error).splitlines())
    sys.stdout.write("".join(f"{path}\n" for path in files))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m tuning.report",
        description="Rebuild a study's report from MLflow and its journal, or put two studies side by side.",
    )
    parser.add_argument("study", metavar="STUDY", help="name of the study, which is its experiment's name")
    parser.add_argument("other", metavar="OTHER", nargs="?", help="a study to put beside it (against-OTHER.html)")
    parser.add_argument("--tracking-uri", default="sqlite:///mlflow.db", metavar="URI", help="where MLflow keeps runs")
    parser.add_argument("--storage", default="studies", metavar="DIR", help="folder of all studies")
    parser.add_argument("--keep", action="store_true", help="keep the page in MLflow, too, as a launch does")
    return parser


def _refused(lines: Sequence[str]) -> int:
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    return 2
