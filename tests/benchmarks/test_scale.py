"""``benchmarks/scale.py`` runs a whole study over an imagined cluster, and loses and doubles nothing of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
from benchmark_scripts import load

from tuning.search import Journal
from tuning.search.journal import FILE
from tuning.search.replay import replay

SCALE = load("scale")
TRIALS = 24


@pytest.fixture(scope="module", name="ran", params=["promote"])
def _ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp(request.param)
    asked = {"trials": TRIALS, "concurrent": 8, "seed": 0, "mode": request.param, "searcher": "random"}
    arguments = argparse.Namespace(**asked, tracking="sqlite", log_format="json")
    uri = f"sqlite:///{folder}/mlflow.db"
    return folder, SCALE.run(arguments, folder, uri, uri, lambda row: None)


def test_every_trial_stands_in_mlflow_once_and_has_ended(ran: tuple[Path, dict[str, Any]]) -> None:
    held = ran[1]["mlflow"]
    assert (held["runs"], held["trials"], held["running"]) == (TRIALS, TRIALS, 0)
    assert (held["points_doubled"], ran[1]["due"]) == (0, 0)


def test_every_decision_is_in_the_journal_and_every_point_in_mlflow(ran: tuple[Path, dict[str, Any]]) -> None:
    folder, found = ran
    events = Journal(folder / "studies" / "scale" / FILE).events
    kinds = [event["event"] for event in events]
    assert kinds.count("suggested") == TRIALS
    assert kinds.count("reported") == found["reports"]
    assert len(events) == found["decisions"] == sum(row["decisions"] for row in found["rows"]) + 1
    points = {
        (e["trial"], point["epoch"]) for e in events if e["event"] == "reported" for point in e["result"]["curve"]
    }
    assert found["mlflow"]["points"] == len(points)
    ended = {e["trial"] for e in events if e["event"] == "ended" or e.get("verdict") == "ends"}
    assert len(ended) == TRIALS


def test_its_journal_comes_out_equal_when_it_is_gone_through_again(ran: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = ran
    study = SCALE.study_of(
        argparse.Namespace(
            trials=TRIALS, concurrent=8, seed=0, mode=folder.name.rstrip("0123456789"), searcher="random"
        ),
        folder,
        "sqlite:////nowhere",
    )
    events = Journal(folder / "studies" / "scale" / FILE).events
    settings = SCALE.search_of(study, 8).settings
    assert replay(study.space.region, settings, events).difference is None
