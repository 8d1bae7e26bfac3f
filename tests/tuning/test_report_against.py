"""Two studies side by side: what is told, what is said before, and what is refused in one line."""

from __future__ import annotations

import dataclasses
import math

import pytest
from large_study import large
from read_page import read
from tracked_study import result, run_trials, told_by, tracked

from tuning.domains import FloatDomain
from tuning.report import main
from tuning.report.against import NotComparable, caveats, differences, pair
from tuning.report.against_page import against_page
from tuning.report.found import difference
from tuning.sections import Evaluation


def other(**changes):
    """A shorter study on the same folds, with changes."""
    results, _ = large(trials=40, name="forty")
    return dataclasses.replace(results, **{"study_run_id": "another", **changes})


def space_with(**changes):
    return other().space.model_copy(update=changes)


def text_of(both) -> str:
    return read(against_page(both, 1_700_000_000.0)).text


def test_the_best_stand_side_by_side_with_their_paired_difference():
    one, two = large()[0], other()
    both = pair(one, two)
    said = text_of(both)
    mean, low, high = both.gap
    assert (mean, low, high) == difference(both.best[1], both.best[0], one)
    assert f"the best of B is {mean:+.3f} [{low:+.3f}, {high:+.3f}] from the best of A" in said
    for study, best in zip(both.studies, both.best, strict=True):
        assert f"{len(study.trials)} trials" in said
        assert f"{best.score:.3f} (95% interval" in said
    assert "1 setting of the space files; all others were the same." in said
    assert caveats(both) == []


def test_both_pages_have_their_figures_and_need_nothing():
    page = read(against_page(pair(large()[0], other()), 0.0))
    assert (page.open, page.fetched, page.handlers) == ([], [], [])
    words = dict(page.figures)
    assert (
        words["The best of each by class"].count("rg 0.") == words["The best of each by class"].count("forty 0.") == 5
    )
    assert "finished trials of rg" in words["Learning curves of both"]
    assert max(page.ids.values()) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tags": {"data_digest": "f" * 64}}, "Their data differ: digests 0123456789ab and ffffffffffff."),
        ({"tags": {}}, "Their data differ: digests 0123456789ab and unknown."),
        ({"space": space_with(evaluation=Evaluation(folds=4))}, "numbers of folds are 5 and 4."),
        ({"space": space_with(evaluation=Evaluation(folds=5, group="athlete"))}, "are none and athlete."),
        ({"space": space_with(seed=3)}, "seeds, by which folds are cut are 0 and 3."),
    ],
)
def test_studies_of_other_folds_get_no_difference_and_are_told_why(changes, said):
    both = pair(large()[0], other(**changes))
    assert both.gap is None
    assert any(said in caveat for caveat in caveats(both))
    assert "so no difference is told: only each by itself." in text_of(both)


def test_what_differs_in_the_spaces_is_told_setting_by_setting():
    lr = FloatDomain(type="float", low=1e-4, high=1e-2, log=True)
    asked = other().space
    search = {name: domain for name, domain in asked.search.items() if name != "stages"} | {"lr": lr}
    two = other(space=asked.model_copy(update={"search": search, "fixed": {**asked.fixed, "width": 128, "stages": 2}}))
    found = {name: (mine, theirs) for name, mine, theirs in differences(large()[0], two)}
    assert found == {
        "search.lr": ("type float, log true, low 0.0001, high 0.002", "type float, log true, low 0.0001, high 0.01"),
        "search.stages": ("type choice, values 2+3+4", "-"),
        "fixed.width": ("256", "128"),
        "fixed.stages": ("-", "2"),
        "budget.trials": ("100", "40"),
    }
    assert "[2]" in text_of(pair(large()[0], two))  # the value of a setting that was not searched there


def test_what_cannot_be_compared_is_refused_in_one_line():
    one = large()[0]
    detectors = other(space=space_with(fixed={"task": "highlights"}))
    nothing = other(trials=tuple(dataclasses.replace(t, score=math.nan) for t in other().trials))
    fewer = other(
        trials=tuple(
            dataclasses.replace(t, folds={k: v for k, v in t.folds.items() if "Ball" not in k}) for t in other().trials
        )
    )
    for two, said in (
        (one, "study 'rg': cannot be compared with itself; name two studies"),
        (detectors, "one is judged by Spearman's correlation, the other by mean average precision"),
        (nothing, "study 'forty': cannot be compared, no trial of it has a score"),
        (fewer, "averages over other classes: Ball, Clubs, Hoop, Ribbon and Clubs, Hoop, Ribbon"),
    ):
        with pytest.raises(NotComparable) as caught:
            pair(one, two)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_command_writes_the_page_beside_the_first_study_s_report(tmp_path, capsys):
    for name in ("first", "second"):
        tracker = tracked(tmp_path, name=name)
        run_trials(tracker, 4)
        tracker.end_study("finished")
    options = ["--tracking-uri", tracker.uri, "--storage", str(tmp_path / "out")]
    assert main(["first", "second", *options]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/out/first/against-second.html\n"
    page = read((tmp_path / "out/first/against-second.html").read_text())
    assert "the best of B is +0.000 [+0.000, +0.000] from the best of A" in page.text
    assert main(["first", "first", *options]) == 2
    assert capsys.readouterr().err == "study 'first': cannot be compared with itself; name two studies\n"
    assert main(["first", "third", *options]) == 2
    assert capsys.readouterr().err.startswith("study 'third': not in ")


def test_a_best_trial_that_runs_still_is_not_held_against_one_that_finished(tmp_path):
    finished = tracked(tmp_path, name="finished")
    run_trials(finished, 4)
    running = tracked(tmp_path, name="running")
    running.trial_started("t0", {"fusion_nets": 10, "lr": 5e-4, "stages": 3, "tau_init": 10.0})
    running.trial_reported("t0", result(0))
    both = pair(told_by(finished), told_by(running))
    assert both.gap is None
    assert "The best trial of B, running, has not run its full budget." in caveats(both)
