"""A journal gone through again: equal decisions are said to be equal, and the first other one is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tracked_study
from scripted import REGION, Cluster, result, search, started

from tuning.replay import main
from tuning.search import Journal
from tuning.search.replay import replay
from tuning.study_file import read_launched, write_study
from tuning.study_search import search_of


@pytest.mark.parametrize("mode", ["stop", "promote"])
@pytest.mark.parametrize("searcher", ["random", "hyperopt", "grid"])
def test_the_journal_of_a_whole_search_is_reproduced(mode, searcher):
    made = search(mode=mode, searcher="random" if searcher == "grid" else searcher, warmup=3, trials=15)
    events = Cluster(made).run().journal.events
    found = replay(REGION, made.settings, events)
    assert (found.decisions, found.difference) == (len(events), None)


@pytest.mark.parametrize("mode", ["stop", "promote"])
def test_a_search_of_several_launches_is_reproduced(tmp_path, mode):
    path, at = tmp_path / "decisions.jsonl", {}
    for launch in range(5):
        journal = Journal(path)
        made = search(journal, mode=mode, concurrent=1 + launch % 3, trials=40)
        journal.append("launched", seed=0, concurrent=made.settings.concurrent, space="")
        Cluster(made, at=at).run(turns=6)
    made.fail(next(held.trial for held in made.trials.values() if not held.over), "its node was lost")
    made.stop()
    events = Journal(path).events
    assert replay(REGION, made.settings, events).difference is None


def test_a_faulty_score_is_reproduced():
    made = search()
    [trial] = started(made, 1)
    made.report(trial, result(0, float("nan")))
    assert replay(REGION, made.settings, made.journal.events).difference is None


def test_the_first_difference_is_found():
    made = Cluster(search()).run()
    events = [dict(event) for event in made.journal.events]
    line = next(i for i, event in enumerate(events) if event["event"] == "suggested" and event["number"] == 4)
    events[line]["config"] = {"lr": 0.5, "stages": 1}
    found = replay(REGION, made.settings, events)
    assert found.difference.line == line + 1
    assert found.decisions == line
    assert found.difference.then["config"] != found.difference.now["config"]


@pytest.mark.parametrize("lost", ["trial", "result", "reason", "verdict"])
def test_an_event_that_lacks_a_value_is_not_reproduced(lost):
    made = search()
    for trial in started(made, 3):
        made.report(trial, result(0, 0.5))
    made.stop()
    events = [dict(event) for event in made.journal.events]
    line = max(number for number, event in enumerate(events, start=1) if lost in event)
    del events[line - 1][lost]
    assert replay(REGION, made.settings, events).difference.line == line


def test_a_study_that_searches_otherwise_today_is_not_reproduced():
    made = Cluster(search(searcher="random")).run()
    other = search(searcher="random", reduction=2).settings
    assert replay(REGION, other, made.journal.events).difference.then["event"] == "reported"


@pytest.fixture
def study(tmp_path):
    """A study that was launched, and its journal."""
    made = tracked_study.study(tmp_path)
    write_study(made)
    found = search_of(made, 2, Journal(tmp_path / "studies" / "small" / "decisions.jsonl"))
    for rung, share in enumerate((2 / 18, 6 / 18, 1.0)):
        work = found.next()
        found.report("0000", {"rung": rung, "val_spearman": 0.5, "progress": share})
        assert rung or work.trial == "0000"
    return made


def test_a_study_is_read_back_as_it_was_launched(study):
    assert read_launched(study.root, study.name) == study
    assert read_launched(study.root, "another") is None


def test_the_command_says_how_many_decisions_were_reproduced(study, capsys):
    assert main([study.name, "--storage", study.root]) == 0
    assert capsys.readouterr().out == "5 suggestions and decisions, all reproduced\n"


def test_the_command_shows_the_first_difference(study, capsys, tmp_path):
    path = tmp_path / "studies" / "small" / "decisions.jsonl"
    lines = path.read_text().splitlines()
    changed = json.loads(lines[0]) | {"by": "a guess"}
    path.write_text("\n".join([json.dumps(changed), *lines[1:]]) + "\n")
    assert main([study.name, "--storage", study.root]) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "0 suggestions and decisions reproduced, and not that of line 1:"
    assert '"by": "a guess"' in told[1]
    assert '"by": "first"' in told[2]


def test_a_study_that_is_not_there_is_a_wrong_request(tmp_path, capsys):
    assert main(["nothing", "--storage", str(tmp_path)]) == 2
    assert "STUDY: 'nothing' has no decisions.jsonl in" in capsys.readouterr().err


def test_a_damaged_record_is_told_in_one_line(study, capsys):
    Path(study.storage, "study.json").write_text('{"version": 1}')
    assert main([study.name, "--storage", study.root]) == 2
    assert capsys.readouterr().err.endswith("study.json: not the whole record of a study (KeyError('name'))\n")


def test_a_damaged_journal_is_told_in_one_line(study, tmp_path, capsys):
    path = tmp_path / "studies" / "small" / "decisions.jsonl"
    path.write_text("no event\n" + path.read_text())
    assert main([study.name, "--storage", study.root]) == 2
    assert "line 1 is not JSON" in capsys.readouterr().err
