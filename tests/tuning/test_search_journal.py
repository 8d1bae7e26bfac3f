"""The journal of a search: what is written is read back, and what was cut short is left out."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning.search.journal import Journal, JournalError

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.fixture
def path(tmp_path):
    """A journal of three events."""
    journal = Journal(tmp_path / "decisions.jsonl", clock=lambda: 12.5)
    for number in range(3):
        journal.append("suggested", trial=f"{number:04d}", number=number, config={"lr": 0.1})
    return tmp_path / "decisions.jsonl"


def test_events_are_read_back_in_their_order(path):
    assert [event["number"] for event in Journal(path).events] == [0, 1, 2]
    assert Journal(path).events[0] == {
        "time": 12.5, "event": "suggested", "trial": "0000", "number": 0, "config": {"lr": 0.1}
    }  # fmt: skip


def test_an_event_is_on_the_disk_when_append_returns(tmp_path):
    journal = Journal(tmp_path / "decisions.jsonl")
    journal.append("launched", seed=3)
    assert json.loads((tmp_path / "decisions.jsonl").read_text())["seed"] == 3


def test_a_journal_cut_anywhere_loses_the_event_that_was_cut_and_no_other(path):
    content = path.read_bytes()
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        assert len(Journal(path).events) == content[:length].count(b"\n")


def test_the_next_event_takes_the_place_of_one_that_was_cut_short(path):
    path.write_bytes(path.read_bytes()[:-5])
    Journal(path).append("spent", reason="enough")
    assert [event["event"] for event in Journal(path).events] == ["suggested", "suggested", "spent"]


def test_reading_alone_changes_nothing(path):
    path.write_bytes(path.read_bytes()[:-5])
    before = path.read_bytes()
    assert len(Journal(path).events) == 2
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", [b"{\x00\x00", b"[1, 2]", b'{"trial": "0001"}', b"", b"\xff\xfe"])
def test_damage_in_another_line_is_refused_with_its_number_and_the_way_out(path, damage):
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], damage, *lines[2:]]))
    with pytest.raises(JournalError, match=r"line 2 .*; restore it from a copy, or delete this line and all below it"):
        Journal(path)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, np.float64("nan")])
def test_a_number_that_is_not_finite_comes_back_and_every_line_is_json_as_others_read_it(tmp_path, value):
    event = Journal(tmp_path / "decisions.jsonl").append("reported", score=value)
    [again] = Journal(tmp_path / "decisions.jsonl").events
    assert repr(again["score"]) == repr(event["score"]) == repr(float(value))
    json.loads((tmp_path / "decisions.jsonl").read_text(), parse_constant=pytest.fail)


def test_numbers_of_numpy_and_tuples_become_what_json_has():
    event = Journal().append("suggested", config={"k": np.int64(3), "lr": np.float64(0.1), "tuned": ("audio",)})
    assert event["config"] == {"k": 3, "lr": 0.1, "tuned": ["audio"]}


@given(st.dictionaries(st.text(), PLAIN))
def test_whatever_json_can_say_comes_back_as_it_was(value):
    assert Journal().append("reported", result=value)["result"] == value


def test_a_journal_without_a_file_keeps_its_events_in_memory():
    journal = Journal()
    journal.append("spent", reason="enough")
    assert [event["reason"] for event in journal.events] == ["enough"]
