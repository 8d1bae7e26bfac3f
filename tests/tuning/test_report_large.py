"""The page of a study of a hundred trials: every figure and its words, and what becomes of a study that runs still."""

from __future__ import annotations

import dataclasses
import math
import re

import pytest
from large_study import BRANCHES, ENGINES, SLOTS, large
from read_page import Page, read

from tuning.report.by_setting import by_setting
from tuning.report.cost import cost
from tuning.report.curves import curves, rung_epochs
from tuning.report.devices import StudyRun
from tuning.report.drawing import html
from tuning.report.found import best_of
from tuning.report.looks import counts
from tuning.report.page import Told, page
from tuning.report.timeline import lanes, timeline

SECTIONS = ("found", "test", "asked", "curves", "nets", "settings", "importance", "parallel", "timeline", "cost")


def made(results, past, *, running: bool = False) -> str:
    rows = {f"engine {e}": [(past.launches[0][0] + 30 * i, 40 + 20 * e) for i in range(20)] for e in range(ENGINES)}
    return page(results, Told(StudyRun(running, rows), past, [], past.last + 40))


@pytest.fixture(scope="module")
def text() -> str:
    return made(*large())


@pytest.fixture(scope="module")
def whole(text) -> Page:
    return read(text)


def test_it_is_one_file_that_fetches_nothing_and_runs_no_script(text, whole):
    assert (whole.open, whole.fetched, whole.handlers) == ([], [], [])
    assert not {"script", "link", "img", "iframe", "object", "embed", "image"} & set(whole.tags)
    assert not re.search(r"url\((?!#)|@import|https?://", text)
    assert len(text) < 1_000_000


def test_it_has_every_section_once_and_links_to_each(whole):
    assert [key for key in whole.ids if key in SECTIONS] == list(SECTIONS)
    assert {link[1:] for link in whole.links} <= set(whole.ids)
    assert {f"#{key}" for key in SECTIONS} <= set(whole.links)
    assert max(whole.ids.values()) == 1


def test_it_is_built_of_landmarks_and_captioned_tables(text, whole):
    assert '<html lang="en">' in text
    assert [whole.tags[tag] for tag in ("header", "nav", "main", "footer", "h1")] == [1] * 5
    assert whole.tags["table"] == whole.tags["caption"] == 4
    assert text.count('<th scope="') == whole.tags["th"]


def test_every_figure_says_what_it_shows(whole):
    titles = [title for title, _ in whole.figures]
    assert titles == [
        *("Learning curves", "Score by the number of FusionNets", "Score by each searched setting"),
        *("Importance of the searched settings", "All settings side by side", "Who was busy when"),
    ]
    results, _ = large()
    best = best_of(results)
    words = dict(whole.figures)
    assert f"The best trial, {best.name}, ends at {best.score:.3f} after 400 epochs." in words["Learning curves"]
    assert "57 at epoch 20 (rung 0), 20 at epoch 60 (rung 1), 9 at epoch 180 (rung 2)" in words["Learning curves"]
    assert f"K {best.values['fusion_nets']}: " in words["Score by the number of FusionNets"]
    assert "More than chance: lr." in words["Importance of the searched settings"]
    assert "engine 0: 4 slots, engine 1: 4 slots" in words["Who was busy when"]


def test_the_rungs_and_who_ended_there_are_those_of_the_search():
    results, _ = large()
    assert rung_epochs(results.trials) == {0: 20, 1: 60, 2: 180, 3: 400}
    assert {fate.name: number for fate, number in counts(results.trials).items()} == {
        "finished": 13,
        "stopped": 86,
        "failed": 1,
    }


def test_a_line_a_trial_a_mark_a_trial_and_each_says_whose_it_is():
    results, _ = large()
    best = best_of(results)
    figure = html(curves(results.trials, best, results.metric))
    assert all(figure.count(f"<title>{trial.trial_id} ") == 1 for trial in results.trials)
    marks = html(by_setting(results.space, results.trials, best, results.metric))
    scored = [trial for trial in results.trials if math.isfinite(trial.score)]
    assert all(marks.count(f"<title>{trial.trial_id} ") == len(results.space.search) for trial in scored)


def test_axes_have_titles_with_units(text):
    for title in (
        *("epoch of phase 2", "Spearman's correlation, held-out folds", "number of FusionNets K"),
        *("learning rate of phase 2", "first temperature τ", "time in which the study ran (minutes)"),
        *("device and slot", "share of the importance of all searched settings (%)", "score: Spearman"),
    ):
        assert re.search(rf">[^<]*{re.escape(title)}[^<]*</text>", text), title


def test_no_slot_holds_two_trials_at_once_and_none_is_wasted():
    assert len(lanes(large()[1].stretches)) == ENGINES * SLOTS
    for _, past in (large(), large(interrupted=900.0)):
        for lane in lanes(past.stretches):
            assert all(a.end <= b.begin for a, b in zip(lane.stretches, lane.stretches[1:], strict=False))


def test_an_hour_between_two_launches_is_left_out_of_the_time_line():
    (results, past), (_, never) = large(interrupted=900.0), large()
    assert len(past.launches) == 2
    assert past.seconds == pytest.approx(never.seconds, rel=0.2)
    assert past.last - past.launches[0][0] > past.seconds + 3000
    assert "wall clock, 2 launches" in read(made(results, past)).text
    assert all(lane.stretches for lane in lanes(past.stretches))
    caption = timeline(past, results.trials, {}).caption
    assert "the 2 launches" in caption
    assert "was cut off before it had said where it was" in caption


def test_what_was_spared_follows_from_the_trials():
    results, past = large()
    found = cost(results, past.results)
    stopped = [trial for trial in results.trials if trial.reason.startswith("stopped")]
    truly = sum((0.9 + 0.06 * t.values["fusion_nets"]) / SLOTS * (400 - t.epochs) for t in stopped)
    assert found.spared_by_stopping == pytest.approx(truly, rel=1e-6)
    assert (found.made, found.shared) == (3 * BRANCHES, 97 * BRANCHES)
    assert found.spared_by_sharing == pytest.approx(97 / 3 * found.branches)
    assert found.trained == pytest.approx(sum(trial.seconds for trial in results.trials))


def test_a_study_that_runs_says_so_and_as_of_when():
    page_of_it = read(made(*large(until=900.0), running=True))
    assert "This study is running: what stands here is as of 20" in page_of_it.text
    assert "written 40 s before" in page_of_it.text
    assert re.search(r"running; \d+ trials \(.*\d running", page_of_it.text)
    assert any("running" in words for _, words in page_of_it.figures)


@pytest.mark.parametrize("until", [0.0, 30.0])
def test_a_study_that_has_hardly_begun_has_a_page(until):
    page_of_it = read(made(*large(until=until), running=True))
    assert page_of_it.open == []
    assert "Too few trials have a score" in page_of_it.text


def test_without_its_journal_the_rest_is_there_and_the_lack_is_told():
    results, _ = large()
    text = page(results, Told(StudyRun(running=False), "there is no decisions.jsonl beside this report", None, 0.0))
    assert read(text).text.count("there is no decisions.jsonl beside this report") == 2
    assert len(read(text).figures) == 5


def test_a_study_that_waits_for_promotion_shows_who_waits():
    results, past = large()
    waiting = [
        dataclasses.replace(t, reason=t.reason.replace("stopped", "paused")) if t.reason.startswith("stopped") else t
        for t in results.trials
    ]
    text = made(dataclasses.replace(results, trials=tuple(waiting)), past)
    assert "86 waits or paused" in dict(read(text).figures)["Learning curves"]
