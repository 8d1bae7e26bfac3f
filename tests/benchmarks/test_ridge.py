"""``benchmarks/ridge.py`` solves ridge regression, takes a study's folds, and gives the known figures on real data."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pamfn.data.shards import read_shards
from pamfn.ingest import main as ingest
from pamfn.phases.replica import Task, cross_validation
from pamfn.synthetic import main as synthesise

REPOSITORY = Path(__file__).resolve().parents[2]


def load_ridge() -> ModuleType:
    """Returns the script as a module; benchmarks are no package."""
    spec = importlib.util.spec_from_file_location("ridge", REPOSITORY / "benchmarks" / "ridge.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RIDGE = load_ridge()


def figures(path: Path, *arguments: str) -> dict[str, Any]:
    assert RIDGE.main([*arguments, "--json", str(path)]) == 0
    return dict(json.loads(path.read_text()))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted") / "shards"
    assert synthesise(["--out", str(folder), "--size", "tiny"]) == 0
    return folder


def test_a_figure_is_that_of_scikit_learns_ridge_on_the_folds_of_a_study(planted: Path, tmp_path: Path) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    found = figures(tmp_path / "figures.json", "--data", str(planted), "--seed", "5", "--group")
    features = read_shards(planted, splits=("train",))
    [first, *_] = cross_validation(features, [Task("Ball", "Ball", "total")], folds=5, seeds=1, seed=5, grouped=True)
    videos = [
        features.features["rgb"][o : o + n].astype(np.float64)
        for o, n in zip(features.offsets, features.lengths, strict=True)
    ]
    x = np.array([[*v.mean(0), *v.std(0), *v.max(0), *v.min(0)] for v in videos])
    varies = x[first.train].std(0) > 1e-9
    x = (x[:, varies] - x[first.train][:, varies].mean(0)) / x[first.train][:, varies].std(0)
    rank = np.argsort(np.argsort(first.scores_V[first.valid]))
    candidates = []
    for penalty in np.logspace(-2, 6, 33):
        model = linear_model.Ridge(penalty).fit(x[first.train], first.scores_V[first.train])
        predicted = np.argsort(np.argsort(model.predict(x[first.valid])))
        candidates.append(np.corrcoef(predicted, rank)[0, 1])
    reported = found["replicas"][first.name]["rgb"]
    assert min(abs(reported - candidate) for candidate in candidates) < 1e-9


def test_the_test_split_is_read_only_when_it_is_asked_for(planted: Path, tmp_path: Path) -> None:
    by_folds = figures(tmp_path / "folds.json", "--data", str(planted))
    official = figures(tmp_path / "official.json", "--data", str(planted), "--official")
    assert len(by_folds["replicas"]) == 10
    assert sorted(official["replicas"]) == ["Ball/all/seed0", "Hoop/all/seed0"]
    assert list(official["table"]) == ["Ball", "Hoop", "average"]


def test_data_that_are_not_there_are_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert RIDGE.main(["--data", str(tmp_path / "nowhere")]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "nowhere" in message


def test_more_folds_than_videos_are_refused_in_one_line(planted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert RIDGE.main(["--data", str(planted), "--folds", "70"]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "70" in message


@pytest.mark.slow
def test_the_known_figures_of_speechocean762_are_reproduced(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    source, shards = shared_data("speechocean762"), tmp_path / "speech"
    columns = ["--action-column", "group", "--group-column", "speaker", "--score-max", "10"]
    assert ingest(["--layout", "table", "--source", str(source), "--out", str(shards), *columns]) == 0
    official = figures(tmp_path / "official.json", "--data", str(shards), "--official")["table"]
    assert {task: round(row["all"], 3) for task, row in official.items()} == {
        "adult": 0.531,
        "child": 0.239,
        "average": 0.395,
    }
    folds = figures(tmp_path / "folds.json", "--data", str(shards), "--group")["table"]
    # other folds than those on record, where single ones of a class spread over .14 to .21
    assert folds["child"]["all"] == pytest.approx(0.17, abs=0.06)
    assert folds["adult"]["all"] == pytest.approx(0.64, abs=0.06)
