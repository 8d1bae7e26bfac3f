"""Studies that are really struck: of the faults of ``python -m benchmarks.faults``, the most telling ones."""

from __future__ import annotations

import pytest

from benchmarks.faults.scenarios import SCENARIOS, run

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(1800)]  # minutes of starting Ray


@pytest.mark.parametrize("name", ["raylet", "drain", "postgres", "head"])
def test_a_struck_study_loses_doubles_and_repeats_nothing_and_its_scores_are_those_of_an_undisturbed_one(lab, name):
    row = run(lab, name)
    assert row.sound, f"{row.plain()}\n{row.out}"
    assert row.verdict.trials == 8
    assert row.launches == 1 + SCENARIOS[name].resumed
    assert row.seconds is not None, "the study ended before what was struck had recovered"
