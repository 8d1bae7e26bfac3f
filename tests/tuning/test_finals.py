"""The final stage as a whole: the order of its steps, what a killed or a refused one leaves, what it tells."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from final_rows import FIRST, row, two_classes

from tuning import finals
from tuning.cluster import Room
from tuning.finals import finish
from tuning.selection import training
from tuning.selection.choosing import Candidate
from tuning.selection.openings import OPENINGS, record_opening
from tuning.selection.training import folder_of

ROWS = [row("0000", [0.30, 0.31], "stopped at rung 0", FIRST), row("0001", [0.5, 0.6]), row("0002", [0.3, 0.4])]


class Ray:
    """Runs what it is given at once."""

    class exceptions:  # noqa: N801  # as Ray has it
        class RayError(Exception): ...

        class RayTaskError(RayError): ...

    def __init__(self) -> None:
        self.trained: list[str] = []

    def remote(self, **_):
        def decorated(function):
            class Remote:
                @staticmethod
                def remote(study, candidate):
                    self.trained.append(candidate.trial_id)
                    return lambda: function(study, candidate)

            return Remote

        return decorated

    def get(self, task):
        try:
            return task()
        except ValueError as error:
            failure = self.exceptions.RayTaskError()
            failure.cause = error
            raise failure from error


class Told:
    """Stands for the tracker and the console."""

    def __init__(self) -> None:
        self.scalars, self.models, self.files, self.notes = {}, {}, [], []

    def log_scalars(self, trial_id, values):
        self.scalars[trial_id] = dict(values)

    def log_model(self, trial_id, name, folder, metrics):
        self.models[name] = (trial_id, folder, dict(metrics))

    def log_file(self, trial_id, path, folder=None):
        self.files.append(path.name)

    def note(self, message):
        self.notes.append(message)


@pytest.fixture(name="study")
def _study(planted_shards, tmp_path):
    study = two_classes(planted_shards, tmp_path, "final.top=1", "final.ties=0", "fixed.epochs=3")
    Path(study.storage).mkdir()
    return study


def finished(study, *, reopen=False):
    ray, told = Ray(), Told()
    return finish(ray, study, Room(1, 0, 1), ROWS, told, told, reopen=reopen), ray, told


def opened(study):
    return (Path(study.root) / OPENINGS).read_text().splitlines()


def test_the_best_and_the_reference_are_trained_judged_and_told(study):
    done, ray, told = finished(study)
    assert (ray.trained, done.failed) == (["0001", "0000"], [])
    assert told.files == ["final.json"]
    assert list(told.models) == ["quickstart-top1"]
    assert told.models["quickstart-top1"][1] == folder_of(study, done_candidate(done)) / "model"
    scalars = told.scalars["0001"]
    assert scalars["final_test_spearman_low"] <= scalars["final_test_spearman"] <= scalars["final_test_spearman_high"]
    best_epoch = scalars["final_test_optimistic_best_epoch"]
    assert scalars["final_test_optimistic_by"] == pytest.approx(best_epoch - scalars["final_test_spearman"])
    gap = scalars["final_test_over_first"]
    assert gap == pytest.approx(scalars["final_test_spearman"] - told.scalars["0000"]["final_test_spearman"])
    assert any("the best of 3 is" in note for note in told.notes)


def done_candidate(done):
    best = done.results["candidates"][0]
    return Candidate(best["rank"], best["trial_id"], best["config"], best["objective"])


def test_the_opening_is_recorded_before_anything_of_the_test_split_is_read(study, monkeypatch):
    read = training.split_data

    def noted(of, splits, device):
        assert len(opened(of)) == 1
        return read(of, splits, device)

    monkeypatch.setattr(training, "split_data", noted)
    finished(study)


@pytest.mark.parametrize("step", ["_train", "judge"])
def test_a_study_that_was_killed_goes_on_with_its_opening_and_its_networks(study, monkeypatch, step):
    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(finals, step, killed)
        with pytest.raises(KeyboardInterrupt):
            finished(study)
    before = opened(study)
    stamps = {p: p.stat().st_mtime_ns for p in Path(study.storage, "final").rglob("networks.*")}
    done, _, _ = finished(study)
    assert done.results["opening"] == json.loads(before[0])
    assert opened(study) == before
    assert {p: p.stat().st_mtime_ns for p in stamps} == stamps


def test_a_finished_study_is_not_trained_again(study):
    first, _, _ = finished(study)
    again, ray, told = finished(study)
    assert (ray.trained, again.results) == ([], json.loads(json.dumps(first.results)))
    assert told.files == ["final.json"]


def test_a_split_that_another_study_opened_meanwhile_stays_closed(study):
    record_opening(dataclasses.replace(study, name="quicker"), "its choice", reopen=False)
    done, ray, told = finished(study)
    assert (done.results, ray.trained) == (None, [])
    (note,) = told.notes
    assert done.failed == [note]
    assert note.startswith("the final stage is left out: the test split of this data")
    assert "for study quicker; the trials are kept: resume with --reopen-test, or with --set final.top=0" in note
    assert finished(study, reopen=True)[0].results["opening"]["number"] == 2


def test_another_choice_of_a_study_needs_the_flag_and_is_judged_anew(study):
    finished(study)
    more = study.space.final.model_copy(update={"top": 2})
    other = dataclasses.replace(study, space=study.space.model_copy(update={"final": more}))
    assert finished(other)[0].results is None
    done, _, _ = finished(other, reopen=True)
    assert (done.results["opening"]["number"], len(done.results["candidates"])) == (2, 2)


def test_a_configuration_that_cannot_be_trained_is_left_out(planted_shards, tmp_path):
    sets = ("search.lr.high=10", "fixed.weight_decay=1", "final.top=2", "final.ties=0", "fixed.epochs=3")
    study = two_classes(planted_shards, tmp_path, *sets)
    Path(study.storage).mkdir()
    wild = row("0003", [0.9, 0.9], config=FIRST | {"lr": 10.0})
    told = Told()
    done = finish(Ray(), study, Room(1, 0, 1), [*ROWS, wild], told, told)
    assert [candidate["trial_id"] for candidate in done.results["candidates"]] == ["0001"]
    assert len(done.failed) == 1
    assert any(note.startswith("final training of trial 0003 failed: ") for note in told.notes)
