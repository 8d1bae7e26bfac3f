"""The final stage in a report: the table, the sentences that follow from it, the count of openings."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path

import pytest
from tracked_study import run_trials, told_by, tracked

from tuning.report import main, write_report
from tuning.report.final import openings_words
from tuning.selection.words import verdict
from tuning.space import load_space


def told(spearman: float, **more) -> dict:
    return {"spearman": spearman, "low": spearman - 0.15, "high": spearman + 0.12, "deviation": 0.021, **more}


def parts(average, *classes) -> dict:
    return {"average": average, "classes": dict(zip(("Ball", "Clubs", "Hoop", "Ribbon"), classes, strict=False))}


def gap(spearman: float, low: float, high: float) -> dict:
    return {"spearman": spearman, "low": low, "high": high}


def configuration(trial: str, rank: int, spearman: float, difference=None, *, tie: bool = False) -> dict:
    branch = parts(told(spearman - 0.1), *[told(spearman - 0.2)] * 4)
    branch["fusion_gain"] = parts(gap(0.1, 0.01, 0.2), *[gap(0.2, -0.1, 0.3)] * 4)
    return {
        "rank": rank,
        "trial_id": trial,
        "config": {},
        "objective": 0.5,
        "tie": tie,
        "models": {"fusion": parts(told(spearman), *[told(spearman + 0.05)] * 4), "rgb": branch},
        "optimistic": {
            **parts({"spearman": spearman + 0.0432, "by": 0.0432}, *[{"spearman": 0.911, "by": 0.1}] * 4),
            "epochs": 40,
        },
        "difference": difference and parts(difference, *[gap(0.333, -0.2, 0.4)] * 4),
    }


def final(difference=None, **changes) -> dict:
    luck = {"best": 0.5678, "by": 0.0341, "corrected": 0.5333, "low": 0.49, "high": 0.57, "trials": 8, "at_most": 0.04}
    values = {
        "opening": {"number": 2, "chosen": "this"},
        "seeds": 5,
        "paper": True,
        "published": None,
        "selection": {"trials": 60, "finished": 8, "ties_not_kept": 4, "luck": luck},
        "candidates": [
            configuration("t6", 1, 0.4567, difference or gap(0.012, -0.03, 0.05)),
            configuration("t3", 2, 0.44, gap(-0.005, -0.04, 0.03), tie=True),
        ],
        "reference": configuration("t0", 0, 0.4447),
    }
    return values | changes


@pytest.fixture(name="page")
def _page(tmp_path):
    tracker = tracked(tmp_path)
    run_trials(tracker, 8)
    tracker.end_study("finished")

    def made(results: dict, root: str = "studies") -> str:
        path = tmp_path / "final.json"
        path.write_text(json.dumps(results))
        tracker.log_file(None, path)
        tracker.settle()
        folder = tmp_path / root / "small"
        write_report(told_by(tracker), str(folder))
        return unescape((folder / "report.html").read_text())

    return made


def test_the_table_holds_every_configuration_by_class_and_on_average(page):
    text = page(final())
    for said in (
        *("Test split", "opening 2 of this data", "over 5 seeds", "0.457", "0.307 to 0.577", "0.021"),
        *("rgb alone", "0.357", "+0.100 [+0.010, +0.200]", "(top 1)", "(top 2, a tie)", "(reference)"),
        *("over the reference", "+0.012 [-0.030, +0.050]", "+0.333 [-0.200, +0.400]"),
        "1 tie within the noise of the folds kept, 4 more not kept",
    ):
        assert said in text, said


def test_the_optimistic_column_is_marked_and_says_by_how_much(page):
    text = page(final())
    assert "best epoch (optimistic)" in text
    assert "Released protocol: best test epoch (of 40); it would call K=8 tau=1.5 lr=6.12e-4 N=2 the winner" in text
    assert "with 0.500 against 0.488 of the paper's configuration" in text
    assert "optimistic by 0.043 here." in text


def test_no_winner_is_claimed_where_the_interval_holds_zero(page):
    text = page(final())
    assert "The best of 60 is not separable from the paper's configuration (+0.012 [-0.030, +0.050])." in text
    assert "better than the paper's" not in text


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (gap(0.08, 0.01, 0.15), "the best of 60 is better than the paper's configuration (+0.080 [+0.010, +0.150])"),
        (gap(-0.08, -0.15, -0.01), "the best of 60 is worse than the paper's configuration (-0.080 [-0.150, -0.010])"),
        (
            gap(0.3, None, None),
            "the best of 60 cannot be told from the paper's configuration by one seed each (+0.300)",
        ),
    ],
)
def test_a_winner_is_claimed_by_its_interval_alone(difference, said):
    assert verdict(final(difference)) == said


def test_a_reference_that_is_not_the_paper_s_is_not_called_so():
    assert "from the first trial's configuration" in verdict(final(paper=False))


PUBLISHED = {
    "source": "Rhythmic Gymnastics, Tables I and II",
    "classes": {"Ball": 0.757, "Clubs": 0.825, "Hoop": 0.836, "Ribbon": 0.846},
    "average": 0.819,
}


def test_the_paper_s_figures_stand_beside_where_there_are_some(page):
    text = page(final(published=PUBLISHED))
    assert all(f"{value:.3f}" in text for value in (*PUBLISHED["classes"].values(), 0.819))
    assert "to be held against the optimistic column" in text
    assert "paper (best epoch)" not in page(final())


def test_the_luck_of_the_best_score_is_told(page):
    text = page(final())
    assert "since it was chosen for its score: the best validation score of 8 finished trials, 0.568, likely" in text
    assert "about 0.533 [0.490, 0.570] without its luck" in text


def opening(study: str, digest: str) -> str:
    entry = {"digest": digest, "study": study, "chosen": "c", "user": "u", "time": "t", "number": 1}
    return json.dumps(entry) + "\n"


def test_every_report_counts_the_openings_of_its_data_by_whomever(page, tmp_path):
    (tmp_path / "studies").mkdir(exist_ok=True)
    digest = "0123456789abcdef" * 4
    lines = [opening("small", digest), opening("other", digest), opening("other", "more"), opening("small", digest)]
    (tmp_path / "studies" / "openings.jsonl").write_text("".join(lines))
    assert "The test split of this data has been opened 3 times, by small, other." in page(final())


def test_the_best_configuration_launches_as_it_is_and_leaves_an_opened_split_closed(page, tmp_path):
    page(final(), root="elsewhere")
    path = tmp_path / "elsewhere" / "small" / "best.yaml"
    assert load_space(path).final.top == 0
    assert "--set final.top=1 --reopen-test" in path.read_text()


def test_the_count_stands_in_a_report_of_a_study_that_never_opened_it(tmp_path):
    tracker = tracked(tmp_path)
    run_trials(tracker, 4)
    (tmp_path / "studies").mkdir(exist_ok=True)
    (tmp_path / "studies" / "openings.jsonl").write_text(opening("other", "0123456789abcdef" * 4))
    tracker.settle()
    options = ["--tracking-uri", tracker.uri, "--storage", str(tmp_path / "studies")]
    assert main(["small", *options]) == 0
    assert "has been opened 1 time, by other." in Path(tmp_path, "studies", "small", "report.html").read_text()


def test_the_count_is_unknown_away_from_the_folder_of_studies(page):
    assert "is unknown" in page(final(), root="elsewhere")


def test_openings_in_words():
    assert openings_words([]) == "The test split of this data has not been opened."
