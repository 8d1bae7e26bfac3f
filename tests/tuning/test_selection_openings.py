"""The test split is opened once, for what was chosen before; whoever opens it again has to say so."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest
from planted_study import small_study, words

from tuning.branches.leases import acquire
from tuning.launch import main
from tuning.selection import openings
from tuning.selection.openings import (
    LOCK,
    OPENINGS,
    OpenedBefore,
    opening_faults,
    openings_of,
    openings_told,
    record_opening,
)


@pytest.fixture(name="study")
def _study(planted_shards, tmp_path):
    return small_study(planted_shards, tmp_path)


def record(study) -> list[dict]:
    return [json.loads(line) for line in Path(study.root, OPENINGS).read_text().splitlines()]


def test_an_opening_says_who_when_what_and_of_which_data(study):
    entry = record_opening(study, "one choice", reopen=False)
    assert record(study) == [entry]
    assert (entry["digest"], entry["study"], entry["chosen"], entry["number"]) == (
        study.digest,
        study.name,
        "one choice",
        1,
    )
    assert entry["user"]
    assert entry["time"].startswith("20")


def test_the_same_choice_of_the_same_study_goes_on_with_its_opening(study):
    first = record_opening(study, "one choice", reopen=False)
    assert record_opening(study, "one choice", reopen=False) == first
    assert len(record(study)) == 1


def test_another_choice_of_the_same_study_is_refused(study):
    record_opening(study, "one choice", reopen=False)
    with pytest.raises(OpenedBefore, match=r"has been opened 1 time: by .* for study quickstart"):
        record_opening(study, "another", reopen=False)
    assert len(record(study)) == 1


def renamed(shards, root, name):
    from tuning.request import parse, requested_study

    return requested_study(parse([*words(shards, root), "--name", name, "--reopen-test"]))[0]


def test_a_renamed_study_opens_the_same_split(study, planted_shards, tmp_path):
    record_opening(study, "one choice", reopen=False)
    other = renamed(planted_shards, tmp_path, "other")
    with pytest.raises(OpenedBefore):
        record_opening(other, "one choice", reopen=False)
    assert record_opening(other, "one choice", reopen=True)["number"] == 2
    assert [entry["study"] for entry in openings_of(study.root, study.digest)] == ["quickstart", "other"]


def test_other_data_are_not_concerned(study):
    entry = {"digest": "other", "study": "s", "chosen": "c", "user": "u", "time": "t", "number": 1}
    Path(study.root, OPENINGS).write_text(json.dumps(entry) + "\n")
    assert record_opening(study, "one choice", reopen=False)["number"] == 1
    assert len(record(study)) == 2


def _open_at_once(study, chosen, barrier, results):
    barrier.wait()
    results.put(record_opening(study, chosen, reopen=True)["number"])


def test_studies_that_open_at_once_get_numbers_of_their_own(study):
    fork = multiprocessing.get_context("fork")
    barrier, results = fork.Barrier(6), fork.Queue()
    racers = [fork.Process(target=_open_at_once, args=(study, f"c{i}", barrier, results)) for i in range(6)]
    for racer in racers:
        racer.start()
    assert sorted(results.get(timeout=60) for _ in racers) == [1, 2, 3, 4, 5, 6]
    for racer in racers:
        racer.join()
    assert [entry["number"] for entry in record(study)] == [1, 2, 3, 4, 5, 6]


def test_the_lock_of_a_dead_process_is_taken_over(study):
    pid = os.fork()
    if pid == 0:
        acquire(Path(study.root, LOCK))
        os._exit(0)
    os.waitpid(pid, 0)
    assert Path(study.root, LOCK).exists()
    assert record_opening(study, "one choice", reopen=False)["number"] == 1
    assert not Path(study.root, LOCK).exists()


def test_a_lock_that_somebody_keeps_is_told_of(study, monkeypatch):
    monkeypatch.setattr(openings, "PATIENCE", 0.2)
    lease = acquire(Path(study.root, LOCK))
    with pytest.raises(OSError, match=r"\.openings\.lock: another process has held this lock for .* remove the file"):
        record_opening(study, "one choice", reopen=False)
    lease.release()


def test_a_record_that_cannot_be_read_is_no_count(study):
    Path(study.root, OPENINGS).write_text("{half\n")
    with pytest.raises(ValueError, match="the record of openings cannot be read"):
        record_opening(study, "one choice", reopen=False)
    assert "the record of openings cannot be read" in str(opening_faults(study, resume=False, reopen=False)[0])
    assert openings_told(study.root, study.name, study.digest) is None


def test_a_launch_on_an_opened_split_is_refused_before_anything_starts(study, planted_shards, tmp_path, capsys):
    record_opening(study, "one choice", reopen=False)
    for more in ((), ("--dry-run",), ("--name", "other")):
        assert main([*words(planted_shards, tmp_path), *more]) == 2
        said = capsys.readouterr().err
        assert "has been opened 1 time: by" in said
        assert "for study quickstart" in said
        assert "--reopen-test" in said
        assert "--set final.top=0" in said
    assert {path.name for path in tmp_path.iterdir()} == {OPENINGS}


@pytest.mark.parametrize("way", [("--reopen-test",), ("--set", "final.top=0")])
def test_a_launch_has_two_ways_out(study, planted_shards, tmp_path, capsys, way):
    record_opening(study, "one choice", reopen=False)
    assert main([*words(planted_shards, tmp_path), "--dry-run", *way]) == 0


def test_a_study_goes_on_with_its_own_opening_and_with_nobody_else_s(study, planted_shards, tmp_path):
    other = renamed(planted_shards, tmp_path, "other")
    record_opening(other, "one choice", reopen=False)
    assert opening_faults(study, resume=True, reopen=False)
    record_opening(study, "one choice", reopen=True)
    assert not opening_faults(study, resume=True, reopen=False)
    assert opening_faults(study, resume=False, reopen=False)


def test_openings_are_unknown_where_the_folder_of_studies_is_not(study, tmp_path):
    assert openings_told(tmp_path / "elsewhere", study.name, study.digest) is None
    Path(study.storage).mkdir()
    Path(study.storage, "study.json").write_text("{}")
    assert openings_told(study.root, study.name, study.digest) == []
    entry = record_opening(study, "one choice", reopen=False)
    assert openings_told(study.root, study.name, study.digest) == [entry]
