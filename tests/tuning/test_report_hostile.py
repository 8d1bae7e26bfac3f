"""Names and values that would be markup: a page shows them as they are, and nothing of them comes to life."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
from large_study import large
from read_page import read

from tuning.domains import ChoiceDomain
from tuning.report.against import pair
from tuning.report.against_page import against_page
from tuning.report.devices import StudyRun
from tuning.report.drawing import LONGEST, printable
from tuning.report.history import History, Stretch
from tuning.report.page import Told, page

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><svg onload=alert(1)>",
    "</title></desc><script>alert(1)</script>",
    "]]><script>alert(1)</script><!--",
    "$\\frac{1}{0}$ and $x",
    "a\x00b\x1bc\ud800d\u202e\nzeile",
    "漢字 🤸",
    "x" * 5000,
)


def poisoned(name: str):
    """A study in which everything that people or shards may name bears a hostile name."""
    results, past = large(trials=30)
    search = {**results.space.search, "query_layers": ChoiceDomain(type="choice", values=(name, 2))}
    data = results.space.data.model_copy(update={"action": (name, "Ball"), "path": name})
    fixed = {**results.space.fixed, "model": "pamfn"}
    space = results.space.model_copy(update={"search": search, "data": data, "fixed": fixed, "warm_start": name})

    def changed(number: int, trial: Any) -> Any:
        ways = {
            "name": f"{name} {number}",
            "values": {**trial.values, "query_layers": name if number % 2 else 2},
            "folds": {key.replace("Clubs", name): value for key, value in trial.folds.items()},
            "reason": f"failed: {name}" if number == 3 else trial.reason,
            "scalars": {f"branch_spearman.{name}": 0.5},
        }
        return dataclasses.replace(trial, **ways)

    trials = tuple(changed(number, trial) for number, trial in enumerate(results.trials))
    tags = {"data_digest": name, "git_commit": name, "status_reason": name}
    changes: Mapping[str, Any] = {"name": name, "space": space, "trials": trials, "tags": tags, "modalities": (name,)}
    stretches = tuple(dataclasses.replace(one, outcome=name) for one in past.stretches)
    stretches += (Stretch(name, name, past.last - 5, past.last, ""),)
    return dataclasses.replace(results, **changes), History(past.launches, stretches, past.results)


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_of_a_name_comes_to_life(name):
    results, past = poisoned(name)
    opening = {"study": name, "digest": name, "user": name, "time": name}
    told = Told(
        StudyRun(running=True, rows={name: [(past.last - 20 + i, 1.0) for i in range(20)]}), past, [opening], 0.0
    )
    made = read(page(results, told))
    assert (made.open, made.fetched, made.handlers) == ([], [], [])
    assert not {"script", "img", "iframe"} & set(made.tags)
    assert made.tags["svg"] == len(made.figures) >= 5
    if name.isprintable():
        assert name in made.text


@pytest.mark.parametrize("name", HOSTILE[:6], ids=range(6))
def test_nor_does_it_where_two_studies_are_compared(name):
    results, _ = poisoned(name)
    made = read(against_page(pair(results, dataclasses.replace(results, study_run_id="another")), 0.0))
    assert (made.open, made.fetched, made.handlers) == ([], [], [])
    assert not {"script", "img", "iframe"} & set(made.tags)
    assert name in made.text


def test_a_name_in_a_figure_is_one_line_of_a_length_that_fits():
    assert printable("a\x00b\n\n c") == "a\N{REPLACEMENT CHARACTER}b c"
    assert printable("x" * 5000) == "x" * (LONGEST - 1) + "\N{HORIZONTAL ELLIPSIS}"
    assert printable("漢字") == "漢字"
