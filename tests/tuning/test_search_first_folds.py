"""A search that ends trials after their first folds: in its journal, when it is resumed, and for its searcher."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tuning.domains import FloatDomain
from tuning.search.core import StudySearch, Verdict
from tuning.search.journal import FILE, Journal
from tuning.search.proposing import known_of
from tuning.search.region import Region
from tuning.search.replay import replay
from tuning.search.settings import SearchSettings

REGION = Region({"lr": FloatDomain(type="float", low=1e-4, high=1e-1, log=True)})
SETTINGS = SearchSettings(seed=1, concurrent=2, trials=6, first={"lr": 1e-3}, searcher="random", reduction=2, rungs=2)
HOPELESS, HOPEFUL = (0.3, 0.35), (0.6, 0.3)
REASON = "stopped after 2 of 5 folds at rung 0"


def first_folds(*scores: float) -> dict[str, Any]:
    """Returns what a trial reports when its first folds have come to the first rung."""
    return {
        **{"val_spearman": None, "rung": -1, "rung_scores": {}, "progress": 0.0, "epoch": 0, "curve": []},
        **{"folds": {"done": len(scores), "of": 5}, "fold_scores": {str(i): s for i, s in enumerate(scores)}},
    }


def whole(rung: int, score: float, worst: float = 0.4) -> dict[str, Any]:
    """Returns what a trial reports at a rung, all folds beside each other; the worst of them is the last."""
    folds = {str(fold): score if fold < 4 else worst for fold in range(5)}
    point = {"progress": (rung + 1) / 2, "val_spearman": score, "epoch": rung + 1}
    return {**point, "rung": rung, "curve": [point], "folds": {"done": 5, "of": 5}, "fold_scores": folds}


@pytest.fixture(name="search")
def _search(tmp_path):
    """Returns a search whose first trial goes on from the first rung, and whose second has just started."""
    search = StudySearch(REGION, SETTINGS, Journal(tmp_path / FILE))
    search.next()
    search.next()
    assert search.report("0000", first_folds(*HOPELESS)) == Verdict("goes on")
    assert search.report("0000", whole(0, 0.5)) == Verdict("goes on")
    return search


def lines(tmp_path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / FILE).read_text().splitlines()]


def test_hopeless_first_folds_end_a_trial_and_stand_in_the_journal_with_their_grounds(search, tmp_path):
    assert search.report("0001", first_folds(*HOPELESS)) == Verdict("ends", REASON)
    assert search.reason("0001") == REASON
    last = lines(tmp_path)[-1]
    assert (last["verdict"], last["reason"], last["rung"], last["score"]) == ("ends", REASON, -1, None)
    assert last["grounds"]["bar"] == 0.4
    assert (last["grounds"]["folds"], last["grounds"]["of"], last["grounds"]["incumbent"]) == (2, 5, "0000")


def test_hopeful_first_folds_go_on_to_a_decision_of_the_rung(search):
    assert search.report("0001", first_folds(*HOPEFUL)) == Verdict("goes on")
    assert search.report("0001", whole(0, 0.3)) == Verdict("ends", "stopped at rung 0")


def test_a_trial_that_ended_after_its_first_folds_counts_at_the_rung_and_has_no_score_there(search):
    search.report("0001", first_folds(*HOPELESS))
    assert search.rungs.scores == {0: {"0000": 0.5}}
    search.next()
    search.report("0002", first_folds(*HOPEFUL))
    assert search.report("0002", whole(0, 0.45)) == Verdict("goes on")
    grounds = search.journal.events[-1]["grounds"]
    assert (grounds["rank"], grounds["of"], grounds["kept"]) == (2, 3, 2)
    observed = search.observations()[1]
    assert (observed.state, dict(observed.scores), tuple(observed.curve)) == ("ended", {}, ())


def test_a_configuration_that_ended_after_its_first_folds_is_a_bad_one_to_the_searcher(search):
    search.report("0001", first_folds(*HOPELESS))
    search.next()
    assert [(score, bad) for _, score, bad in known_of(search.observations())] == [
        (pytest.approx(0.5), False),
        (None, True),
        (None, False),
    ]


def test_first_folds_are_not_judged_at_a_rung_that_has_yet_to_prove_itself():
    search = StudySearch(REGION, replace(SETTINGS, auto=True, rungs=4), Journal())
    search.next()
    search.next()
    assert search.report("0000", whole(0, 0.5)) == Verdict("goes on")
    assert search.report("0001", first_folds(*HOPELESS)) == Verdict("goes on")
    assert search.report("0001", whole(0, 0.1)) == Verdict("goes on")


def test_first_folds_told_again_after_a_restart_get_the_same_answer_and_no_line(search, tmp_path):
    search.report("0001", first_folds(*HOPEFUL))
    before = lines(tmp_path)
    again = StudySearch(REGION, SETTINGS, Journal(tmp_path / FILE))
    assert again.report("0001", first_folds(*HOPEFUL)) == Verdict("goes on")
    assert lines(tmp_path) == before


def test_a_search_resumed_after_the_first_folds_of_a_trial_decides_as_one_that_was_not(search, tmp_path):
    again = StudySearch(REGION, SETTINGS, Journal(tmp_path / FILE))
    told = [("0001", first_folds(0.39, 0.39)), ("0000", whole(1, 0.6))]
    assert [again.report(*each) for each in told] == [search.report(*each) for each in told]
    assert again.reason("0001") == REASON
    assert again.next() == search.next()


def test_going_through_the_journal_again_gives_the_same_decisions(search):
    search.report("0001", first_folds(*HOPELESS))
    search.next()
    search.report("0002", first_folds(*HOPEFUL))
    search.report("0002", whole(0, 0.7, worst=0.65))
    search.report("0000", whole(1, 0.6))
    search.next()
    search.report("0003", first_folds(*HOPEFUL))
    assert search.reason("0003") == REASON
    again = replay(REGION, SETTINGS, search.journal.events)
    assert again.difference is None
    assert again.decisions == len(search.journal.events)
