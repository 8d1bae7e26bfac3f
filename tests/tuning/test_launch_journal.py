"""A resumed launch whose journal is damaged."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import tracked_study

from tuning import launch
from tuning.faults import SpaceError
from tuning.running import _launched
from tuning.search import Journal
from tuning.study_file import write_study
from tuning.study_search import search_of


@pytest.fixture
def study(tmp_path):
    """A study of one trial."""
    made = tracked_study.study(tmp_path)
    write_study(made)
    search_of(made, 1, Journal(tmp_path / "studies" / "small" / "decisions.jsonl")).next()
    return made


def test_damage_is_told_before_anything_is_started(study, tmp_path):
    path = tmp_path / "studies" / "small" / "decisions.jsonl"
    path.write_text("half a li\n" + path.read_text())
    with pytest.raises(SpaceError, match=r"--resume: .*decisions.jsonl: line 1 is not JSON .*; restore it from a copy"):
        launch._launch(study, None, SimpleNamespace(resume=True), [], None)


def test_a_last_line_that_was_cut_short_is_no_damage(study, tmp_path):
    path = tmp_path / "studies" / "small" / "decisions.jsonl"
    with path.open("a") as file:
        file.write('{"time": 1.0, "event": "repo')
    launch._check_journal(study)
    assert len(path.read_text().splitlines()) == 2


def test_a_launch_after_the_journal_lost_its_end_bears_a_number_that_no_folder_has(study, tmp_path):
    path = tmp_path / "studies" / "small" / "decisions.jsonl"
    for number in (1, 2):
        assert _launched(search_of(study, 1, Journal(path)), study) == number
        (path.parent / "tune" / str(number)).mkdir(parents=True)
    path.write_text("")
    assert _launched(search_of(study, 1, Journal(path)), study) == 3
