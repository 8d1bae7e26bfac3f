"""A journal as a report reads it: who was at work when and where, over all launches, and a damaged one."""

from __future__ import annotations

import pytest

from tuning.report.history import BROKEN, SOMEWHERE, history, read_history
from tuning.search import Journal


def told(*events):
    """Events with a time each."""
    return [{"time": time, "event": event, **values} for time, event, values in events]


def report(trial: str, verdict: str, reason: str = "", **result):
    return {"trial": trial, "verdict": verdict, "reason": reason, "rung": 0, "result": result}


def test_stretches_reach_from_start_to_report_to_end():
    past = history(
        told(
            (10.0, "launched", {}),
            (11.0, "suggested", {"trial": "0"}),
            (15.0, "reported", report("0", "goes on", engine=1)),
            (19.0, "reported", report("0", "ends", "finished", engine=1)),
        )
    )
    assert [(s.begin, s.end, s.place, s.outcome) for s in past.stretches] == [
        (11.0, 15.0, "engine 1", "goes on"),
        (15.0, 19.0, "engine 1", "finished"),
    ]
    assert (past.seconds, past.places, len(past.results["0"])) == (9.0, ("engine 1",), 2)


def test_a_trial_that_waits_is_not_at_work_until_it_is_promoted():
    past = history(
        told(
            (0.0, "launched", {}),
            (0.0, "suggested", {"trial": "0"}),
            (5.0, "reported", report("0", "waits", node="abc")),
            (50.0, "promoted", {"trial": "0", "rung": 0}),
            (53.0, "reported", report("0", "ends", "finished", node="abc")),
        )
    )
    assert [(s.begin, s.end, s.outcome) for s in past.stretches] == [(0.0, 5.0, "waits"), (50.0, 53.0, "finished")]
    assert past.places == ("node 0",)


def test_a_launch_breaks_off_what_the_one_before_left_and_goes_on_with_it():
    past = history(
        told(
            (0.0, "launched", {}),
            (1.0, "suggested", {"trial": "0"}),
            (4.0, "suggested", {"trial": "1"}),
            (100.0, "launched", {}),
            (103.0, "reported", report("0", "ends", "finished", engine=0)),
            (104.0, "ended", {"trial": "1", "reason": "failed: lost"}),
        )
    )
    assert past.launches == ((0.0, 4.0), (100.0, 104.0))
    assert past.seconds == 8.0
    assert [(s.trial, s.begin, s.end, s.outcome) for s in past.stretches] == [
        *(("0", 1.0, 4.0, BROKEN), ("1", 4.0, 4.0, BROKEN)),
        *(("0", 100.0, 103.0, "finished"), ("1", 100.0, 104.0, "failed: lost")),
    ]


def test_what_runs_lasts_to_the_newest_event_and_is_nowhere_known_yet():
    past = history(told((0.0, "launched", {}), (1.0, "suggested", {"trial": "0"}), (7.0, "suggested", {"trial": "1"})))
    assert [(s.trial, s.end, s.outcome) for s in past.stretches] == [("0", 7.0, ""), ("1", 7.0, "")]
    assert past.places == (SOMEWHERE,)


def test_a_journal_is_read_from_the_study_s_folder(tmp_path):
    assert read_history(str(tmp_path)) == "there is no decisions.jsonl beside this report"
    journal = Journal(tmp_path / "decisions.jsonl")
    journal.append("launched", seed=0)
    journal.append("suggested", trial="0", number=0, config={}, by="first")
    assert [stretch.trial for stretch in read_history(str(tmp_path)).stretches] == ["0"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('{"event": 3}\n', "line 1 is no event of a search"),
        ('{"time": 1, "event": "reported"}\n', "tells of what cannot have happened (KeyError('result'))"),
        ('{"event": "launched"}\n', "tells of what cannot have happened (KeyError('time'))"),
        ("", "is empty"),
    ],
)
def test_a_damaged_journal_is_told_of_and_no_error(tmp_path, lines, said):
    (tmp_path / "decisions.jsonl").write_text(lines)
    assert said in read_history(str(tmp_path))
