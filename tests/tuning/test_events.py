"""From Ray Tune and the journal to the tracker and the console."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from fake_tune import Controller
from mlflow import MlflowClient
from scripted import result, search, started
from tracked_study import config, tracked
from tracked_study import result as tracked_result

from tuning.console import Console
from tuning.events import TuneEvents
from tuning.search import Journal
from tuning.tracking import read_study


class Told:
    """Notes what it is told."""

    def __init__(self):
        self.events = []

    def trial_started(self, trial_id, settings):
        self.events.append(("started", trial_id))

    def trial_reported(self, trial_id, told):
        self.events.append(("reported", trial_id, told["rung"]))

    def trial_waits(self, trial_id, rung):
        self.events.append(("waits", trial_id, rung))

    def trial_retried(self, trial_id, error):
        self.events.append(("retried", trial_id, error))

    def trial_ended(self, trial_id, reason):
        self.events.append(("ended", trial_id, reason))


def tune_trial(trial_id, error_file=None):
    return SimpleNamespace(trial_id=trial_id, config={}, error_file=error_file)


@pytest.fixture
def story(tmp_path):
    """A search in its second launch: one trial ended, one waits, one was promoted, one runs."""
    path = tmp_path / "decisions.jsonl"
    before = search(Journal(path), mode="promote", reduction=2, concurrent=4)
    ended, waiting, promoted, _ = started(before, 4)
    before.report(waiting, result(0, 0.1))
    before.report(promoted, result(0, 0.5))
    before.fail(ended, "lost")
    return search(Journal(path), mode="promote", reduction=2, concurrent=4)


def test_trials_that_ended_or_wait_are_told_of_in_the_order_of_suggestion(story):
    told = Told()
    TuneEvents(story, [told]).catch_up()
    assert told.events == [
        ("started", "0000"),
        ("ended", "0000", "failed: lost"),
        ("started", "0001"),
        ("reported", "0001", 0),
        ("waits", "0001", 0),
    ]


def test_a_trial_that_goes_on_is_told_of_with_what_it_had_reported(story):
    told = Told()
    events = TuneEvents(story, [told])
    events.on_trial_start(1, [], tune_trial("0002"))
    assert told.events[:2] == [("started", "0002"), ("reported", "0002", 0)]


def test_nothing_is_told_again_at_the_end_and_nothing_is_left_out(story):
    told = Told()
    events = TuneEvents(story, [told])
    events.catch_up()
    before = len(told.events)
    events.catch_up()
    assert len(told.events) == before
    story.stop()
    events.catch_up()
    assert [event[1:] for event in told.events if event[0] == "ended"] == [
        ("0000", "failed: lost"),
        ("0001", "paused at rung 0"),
        ("0002", "ended early, at 11% of its budget"),
        ("0003", "ended early, at 0% of its budget"),
    ]


def test_a_trial_that_comes_to_wait_is_told_to_wait_after_its_report():
    made, told = search(mode="promote"), Told()
    events = TuneEvents(made, [told])
    made.next()
    events.on_trial_start(1, [], tune_trial("0000"))
    made.report("0000", result(0, 0.5))
    events.on_trial_result(1, [], tune_trial("0000"), result(0, 0.5))
    assert told.events[-2:] == [("reported", "0000", 0), ("waits", "0000", 0)]


def test_a_lost_process_is_told_as_a_retry_with_its_error(tmp_path):
    error = tmp_path / "error.txt"
    error.write_text("Failure # 1\nOSError: disk full\n")
    made, told = search(), Told()
    made.next()
    TuneEvents(made, [told]).on_trial_recover(1, [], tune_trial("0000", str(error)))
    assert told.events == [("started", "0000"), ("retried", "0000", "OSError: disk full")]


def test_a_trial_that_raised_once_too_often_is_told_with_the_reason_of_the_search():
    made, told = search(), Told()
    made.next()
    made.fail("0000", "ValueError: the trial's own message")
    TuneEvents(made, [told]).on_trial_error(1, [], tune_trial("0000"))
    assert told.events[-1] == ("ended", "0000", "failed: ValueError: the trial's own message")


def test_an_ended_trial_ends_its_run_and_a_waiting_one_keeps_it_open(tmp_path, capsys):
    tracker, console = tracked(tmp_path), Console("small", ["fusion_nets"], 4)
    for listener in (tracker, console):
        for number, rung in enumerate((0, 0, 2)):
            trial = f"000{number}"
            listener.trial_started(trial, config(number))
            listener.trial_reported(trial, tracked_result(rung))
        listener.trial_waits("0000", 0)
        listener.trial_waits("0001", 0)
        listener.trial_started("0001", config(1))
        listener.trial_ended("0002", "finished")
        assert listener is tracker or listener.progress.counts()["waiting"] == 1
    tracker.settle()
    runs = {
        run.data.tags["trial_id"]: run
        for run in MlflowClient(tracker.uri).search_runs([tracker.experiment_id], "tags.kind = 'trial'")
    }
    assert {trial: run.info.status for trial, run in runs.items()} == {
        "0000": "RUNNING", "0001": "RUNNING", "0002": "FINISHED"
    }  # fmt: skip
    assert (runs["0000"].data.tags["waits"], runs["0001"].data.tags["waits"]) == ("at rung 0", "")
    tracker.trial_ended("0000", "paused at rung 0")
    tracker.end_study("finished")
    results = read_study(tracker.uri, "small")
    assert results.tags["trials_paused"] == "1"
    assert {trial.trial_id: trial.reason for trial in results.trials}["0000"] == "paused at rung 0"
    out = capsys.readouterr().out
    assert "waiting at rung 0" in out
    assert "continued" in out


def test_the_runs_of_trials_that_had_ended_are_left_as_they_are_when_a_study_is_resumed(tmp_path):
    path = tmp_path / "decisions.jsonl"
    made = search(Journal(path))
    for trial in started(made, 3):
        for rung in range(3):
            made.report(trial, tracked_result(rung))
    TuneEvents(made, [first := tracked(tmp_path)]).catch_up()
    first.end_study("finished")
    client, query = MlflowClient(first.uri), ([first.experiment_id], "tags.kind = 'trial'")
    before = {run.info.run_id: run for run in client.search_runs(*query)}
    TuneEvents(search(Journal(path)), [resumed := tracked(tmp_path, resume=True)]).catch_up()
    resumed.settle()
    after = {run.info.run_id: run for run in client.search_runs(*query)}
    assert {i: (run.info.end_time, run.data.to_dictionary()) for i, run in after.items()} == {
        i: (run.info.end_time, run.data.to_dictionary()) for i, run in before.items()
    }
    assert [epoch for epoch, _ in read_study(first.uri, "small").trials[0].curve] == list(range(1, 19))


def test_one_who_has_heard_of_no_report_is_told_where_a_trial_stands():
    made = search()
    [trial] = started(made, 1)
    for rung in (0, 1):
        made.report(trial, result(rung, 0.5, curve=[{"epoch": rung}]))
    made.report(trial, {"rung": -1, "val_spearman": 0.6, "progress": 0.5, "curve": [{"epoch": 2}]})
    told = [(r["rung"], r["curve"]) for r in made.trials[trial].standing()]
    assert told == [(1, [{"epoch": 0}, {"epoch": 1}]), (-1, [{"epoch": 2}])]


def test_a_whole_study_is_told_of_once(tmp_path):
    made, told = search(mode="promote"), Told()
    events = TuneEvents(made, [told])
    controller = Controller(made)
    controller.run()
    events.catch_up()
    assert len([event for event in told.events if event[0] == "ended"]) == len(made.trials)
