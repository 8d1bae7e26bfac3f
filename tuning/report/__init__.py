"""The report of a study, from what MLflow holds of it.

python -m tuning.report rg --tracking-uri sqlite:///mlflow.db --storage studies
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tuning.faults import SpaceError
from tuning.report.files import best_text, table_bytes, write_whole
from tuning.report.models import models_text
from tuning.report.page import page
from tuning.selection.openings import openings_told
from tuning.study import absolute
from tuning.tracking import StudyResults, TrackingError, check_existing, read_study

__all__ = ["main", "write_report"]


def write_report(results: StudyResults, folder: str) -> list[str]:
    """Writes ``results.parquet``, ``best.yaml`` and ``report.html`` into a folder or URI; returns their paths.

    There is no ``best.yaml`` while no trial has a score. A study that compares something has its tables as Markdown
    besides, in ``comparison.md``. How often the test split was opened is read from the folder above.
    """
    openings = openings_told(folder.rpartition("/")[0], results.name, results.tags.get("data_digest", ""))
    contents = {"results.parquet": table_bytes(results), "report.html": page(results, openings).encode()}
    if tables := models_text(results):
        contents["comparison.md"] = tables.encode()
    opened = results.final is not None or bool(openings)
    if ranked := results.ranked():
        contents["best.yaml"] = best_text(results, ranked[0], opened=opened).encode()
    return [write_whole(folder, name, content) for name, content in sorted(contents.items())]


def main(argv: Sequence[str] | None = None) -> int:
    """Rebuilds a study's report; returns 0, or 2 with one line on standard error if the request was wrong."""
    options = _parser().parse_args(argv)
    if faults := check_existing(options.tracking_uri):
        return _refused(faults)
    try:
        results = read_study(options.tracking_uri, options.study)
        files = write_report(results, f"{absolute(options.storage)}/{options.study}")
    except (TrackingError, SpaceError, OSError) as error:
        return _refused(str(error).splitlines())
    sys.stdout.write("".join(f"{path}\n" for path in files))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tuning.report", description="Rebuild a study's report from MLflow."
    )
    parser.add_argument("study", metavar="STUDY", help="name of the study, which is its experiment's name")
    parser.add_argument("--tracking-uri", default="sqlite:///mlflow.db", metavar="URI", help="where MLflow keeps runs")
    parser.add_argument("--storage", default="studies", metavar="DIR", help="folder of all studies")
    return parser


def _refused(lines: Sequence[str]) -> int:
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    return 2
