"""``benchmarks/folds.py`` adds up what a study with early stopped folds spends, and compares the choices."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def load_folds() -> ModuleType:
    """Returns the script as a module; benchmarks are no package."""
    spec = importlib.util.spec_from_file_location("folds_benchmark", REPOSITORY / "benchmarks" / "folds.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


FOLDS = load_folds()
TOGETHER, FORGIVING = FOLDS.RULES[0], FOLDS.RULES[1]


def trained(early: float, final: float, first: float, reason: str = "") -> Any:
    """Returns a configuration: 10 s to the first rung and 20 s more together; 3 s, 8 s and 1 s in parts."""
    scores = {str(fold): early for fold in range(5)}
    told = [{"val_spearman": early, "progress": 1 / 3, "fold_scores": scores, "status_reason": reason}]
    told += [] if reason else [{"val_spearman": final, "progress": 1.0, "fold_scores": scores, "status_reason": ""}]
    ahead = {"folds": {"done": 1, "of": 5}, "fold_scores": {"0": first}, "done": False}
    return FOLDS.Measured({}, told, [10.0, 20.0][: len(told)], {1: FOLDS.Parts(ahead, (3.0, 8.0, 1.0))})


def test_without_first_folds_every_configuration_pays_for_the_first_rung() -> None:
    spent = FOLDS.replay([trained(0.5, 0.6, 0.5), trained(0.3, 0.9, 0.3)], [0, 1], TOGETHER, (3, 9))
    assert (spent.seconds, spent.epochs, spent.stopped) == (10 + 20 + 10, 5 * (9 + 3), 0)
    assert (spent.chosen, spent.final) == (0, 0.6)


def test_hopeless_first_folds_spare_the_others_and_may_cost_the_best() -> None:
    table = [trained(0.5, 0.6, 0.5), trained(0.8, 0.9, 0.3), trained(0.6, 0.7, 0.6)]
    spent = FOLDS.replay(table, [0, 1, 2], FORGIVING, (3, 9))
    assert (spent.seconds, spent.epochs) == ((3 + 8 + 1 + 20) + 3 + (3 + 8 + 1 + 20), 5 * 9 + 3 + 5 * 9)
    assert (spent.stopped, spent.chosen, spent.final) == (1, 2, 0.7)
    base = FOLDS.replay(table, [0, 1, 2], TOGETHER, (3, 9))
    row = FOLDS.summary([spent], [base])
    assert row["loss"] == row["worst_loss"] == pytest.approx(0.2)
    assert (row["same_choice"], row["stopped"]) == (0, 1)


def test_a_configuration_found_hopeless_still_counts_at_the_first_rung() -> None:
    table = [trained(0.5, 0.6, 0.5), *[trained(0.5, 0.6, 0.1)] * 3, trained(0.45, 0.5, 0.5)]
    assert FOLDS.replay(table, [0, 1, 2, 3, 4], FORGIVING, (3, 9)).epochs == 5 * 9 + 3 * 3 + 5 * 9


def test_a_configuration_that_fails_at_the_first_rung_pays_to_it_and_is_never_chosen() -> None:
    spent = FOLDS.replay([trained(0.9, 0.9, 0.9, "constant: 5 of 5")], [0], FORGIVING, (3, 9))
    assert (spent.seconds, spent.epochs, spent.chosen) == (3 + 8, 15, -1)
