"""Where to look at a study: the command that opens MLflow, and addresses that open the right page of it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from tuning.tracking.location import absolute, without_password, without_user

OWN_SERVER = "http://127.0.0.1:5000"  # where `mlflow ui` listens


def ui_command(uri: str) -> str | None:
    """Returns the command that opens MLflow over a database, its password masked; None where a server is running."""
    if urlsplit(uri).scheme in ("http", "https"):
        return None
    return f"mlflow ui --backend-store-uri {shlex.quote(without_password(absolute(uri)))}"


def charts_page(uri: str, experiment_id: str) -> str:
    """Returns the address of a study's learning curves.

    Without ``workflowType`` a browser that is new to MLflow opens its pages for language models.
    """
    page = f"#/experiments/{quote(experiment_id)}/runs?compareRunsMode=CHART&workflowType=machine_learning"
    return f"{_server(uri)}/{page}"


def compare_page(uri: str, experiment_id: str, run_ids: Sequence[str]) -> str:
    """Returns the address of the page that compares runs by their parameters."""
    runs, experiments = quote(json.dumps(list(run_ids))), quote(json.dumps([experiment_id]))
    return f"{_server(uri)}/#/compare-runs?runs={runs}&experiments={experiments}&workflowType=machine_learning"


def _server(uri: str) -> str:
    return without_user(uri).rstrip("/") if urlsplit(uri).scheme in ("http", "https") else OWN_SERVER
