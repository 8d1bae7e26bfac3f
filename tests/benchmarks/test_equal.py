"""``benchmarks/equal.py`` holds a report against fresh videos, and says where they disagree."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from pamfn.data.planted_sizes import SIZES
from tuning.planted import ensure_planted
from tuning.request import parse, requested_study
from tuning.selection.choosing import Candidate
from tuning.selection.training import train_final
from tuning.study_file import write_study

REPOSITORY = Path(__file__).resolve().parents[2]


def load_equal() -> ModuleType:
    """Returns the script as a module; benchmarks are no package."""
    spec = importlib.util.spec_from_file_location("equal_benchmark", REPOSITORY / "benchmarks" / "equal.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EQUAL = load_equal()


def told(spearman: float, low: float, high: float) -> dict:
    return {"spearman": spearman, "low": low, "high": high}


def test_an_interval_that_misses_the_truth_is_named() -> None:
    value = told(0.6, 0.5, 0.7)
    row = {
        "trial_id": "0001",
        "models": {"fusion": {"average": value, "classes": {"Ball": value}}},
        "optimistic": {"average": {"spearman": 0.65, "by": 0.05}, "classes": {"Ball": {"spearman": 0.65, "by": 0.05}}},
        "difference": {"average": told(0.1, -0.1, 0.3), "classes": {"Ball": told(0.1, -0.1, 0.3)}},
    }
    rows = list(EQUAL.rows_of({"candidates": [row], "reference": None}, {"average": 0.55, "Ball": 0.45}))
    assert [cells[:5] for cells in rows] == [
        ["0001", "average", "0.550", "0.600 [0.500, 0.700]", "yes"],
        ["", "Ball", "0.450", "0.600 [0.500, 0.700]", "NO"],
    ]
    assert rows[1][-2:] == ["+0.050", "+0.200"]


def test_the_truth_comes_from_fresh_videos_of_the_study_s_own_process(tmp_path, monkeypatch) -> None:
    changes = ("data.synthetic.size=tiny", "data.action=Ball", "fixed.epochs=2", "fixed.phase1_epochs=2")
    sets = [word for change in (*changes, "fixed.width=8", "final.seeds=2") for word in ("--set", change)]
    study, _ = requested_study(parse(["--space", "equal.yaml", "--storage", str(tmp_path), *sets]))
    ensure_planted(study.space.data.synthetic, Path(study.data))
    write_study(study)
    train_final(study, Candidate(1, "0007", {"reseed": 7}, 0.4))
    monkeypatch.setattr(EQUAL, "SIZES", dict(SIZES))
    monkeypatch.setattr("pamfn.data.synthetic.SIZES", EQUAL.SIZES)
    found = EQUAL.true_scores(Path(study.storage), 80)
    assert list(found) == ["0007"]
    assert list(found["0007"]) == ["Ball"]
    assert len(found["0007"]["Ball"]) == 2
    assert np.isfinite(found["0007"]["Ball"]).all()
    assert found == EQUAL.true_scores(Path(study.storage), 80)
    assert found["0007"]["Ball"] != pytest.approx(EQUAL.true_scores(Path(study.storage), 120)["0007"]["Ball"])
