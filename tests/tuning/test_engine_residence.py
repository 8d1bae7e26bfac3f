"""What an engine holds, without Ray: the same trials as without it, handed over, let go and taken up again."""

from __future__ import annotations

from pathlib import Path

import pytest
from planted_study import CONFIG, ran, small_study, timeless

from tuning.engine.device import Device
from tuning.engine.residence import Residence, Setting
from tuning.keeping import FOLDER, newest_checkpoint
from tuning.study_data import split_data

TOLERANCE = 1e-3  # of a correlation over a few videos; rows of another number take another matrix kernel


def engine_of(study, launch=1):
    features, bank = split_data(study, ("train",), "cpu")
    return Residence(Setting(study, launch, "cpu", 1, Device), features, bank.arrays())


@pytest.fixture(name="study")
def _study(planted_shards, tmp_path):
    return small_study(planted_shards, tmp_path)


@pytest.fixture(name="engine")
def _engine(study):
    engine = engine_of(study)
    yield engine
    engine.close()


def advanced(engine, token="a", told=0, trial="0000", **changes):
    """Advances a trial to its end, as its process does."""
    results = []
    while not results or not results[-1]["done"]:
        results.append(engine.advance(trial, CONFIG | changes, token, told))
        told = results[-1]["passed"]
    return results


def test_a_trial_on_an_engine_comes_to_what_it_comes_to_alone(study, engine):
    there, alone = advanced(engine), ran(study)
    assert [result["rung"] for result in there] == [result["rung"] for result in alone]
    for mine, oracle in zip(there, alone, strict=True):
        assert mine["val_spearman"] == pytest.approx(oracle["val_spearman"], abs=TOLERANCE)
        assert set(timeless(mine)) == {*timeless(oracle), "passed"}


def test_every_rung_is_on_the_storage_when_it_is_told(study, engine):
    for passed in (1, 3, 9):
        assert engine.advance("0000", CONFIG, "a", 0 if passed == 1 else passed // 3)["passed"] == passed
        folder = Path(study.storage, FOLDER)
        assert newest_checkpoint(folder, "0000", CONFIG) == folder / "1" / "0000" / f"checkpoint_{passed:06d}"


def test_another_engine_goes_on_where_a_lost_one_wrote_last_and_reports_that_first(study, engine):
    whole = advanced(engine)
    engine.advance("0001", CONFIG, "a", 0)
    other = engine_of(study, launch=2)
    standing = other.advance("0001", CONFIG, "b", 0)
    assert (standing["rung"], standing["passed"], standing["curve_start"]) == (0, 1, 0)
    onward = advanced(other, "b", 1, "0001")
    assert [result["rung"] for result in onward] == [1, 2]
    assert onward[-1]["val_spearman"] == pytest.approx(whole[-1]["val_spearman"], abs=TOLERANCE)
    assert onward[-1]["attempt"] == 1
    other.close()


def test_another_process_of_the_same_trial_takes_it_over(engine):
    first = engine.advance("0000", CONFIG, "a", 0)
    again = engine.advance("0000", CONFIG, "b", 0)
    assert (again["rung"], again["val_spearman"]) == (first["rung"], first["val_spearman"])
    assert engine.advance("0000", CONFIG, "a", 1) == {"let_go": True}
    engine.release("0000", "a")
    assert engine.status().trials == ("0000",)
    assert engine.advance("0000", CONFIG, "b", 1)["rung"] == 1


def test_a_trial_that_is_released_leaves_its_rows(engine):
    engine.advance("0000", CONFIG, "a", 0)
    assert engine.status().trials == ("0000",)
    engine.release("0000", "a")
    engine.release("0000", None)
    status = engine.status()
    assert (status.trials, status.rows_busy) == ((), 0)


def test_a_call_that_comes_after_its_trial_has_ended_makes_no_resident(engine):
    engine.release("0000", None)
    assert engine.advance("0000", CONFIG, "a", 0) == {"let_go": True}
    assert engine.status().trials == ()
    assert engine.advance("0001", CONFIG, "a", 0)["rung"] == 0


def test_what_is_wrong_with_a_trial_is_one_line_and_the_others_go_on(engine):
    engine.advance("0000", CONFIG, "a", 0)
    answer = engine.advance("0001", CONFIG | {"stages": 0}, "b", 0)
    assert list(answer) == ["error"]
    assert answer["error"].startswith("ValueError: ")
    assert "stages" in answer["error"]
    assert "\n" not in answer["error"]
    assert engine.status().trials == ("0000",)
    assert engine.advance("0000", CONFIG, "a", 1)["rung"] == 1


def test_the_seconds_of_trials_that_share_a_device_are_divided(engine):
    results = advanced(engine)
    seconds = [result["train_seconds"] for result in results]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0
