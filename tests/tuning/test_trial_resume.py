"""A trial that is interrupted at a checkpoint and goes on from it, in another process or for another time."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from planted_study import CONFIG, ran, results, small_study, timeless
from safetensors.torch import load_file

from tuning.trial import Trial
from tuning.trial_files import BEST, LAST, MOMENTS, STANDING
from tuning.tune_trial import TuneTrial


@pytest.fixture(scope="module", params=["fixed", "drifting", "one-stage"])
def study(request, planted_shards, tmp_path_factory):
    sets = {
        "fixed": (),
        "drifting": ("preset=released", "first={fusion_nets: 4, lr: 5.0e-3, tau_init: 10.0}"),
        "one-stage": ("fixed.phases=one",),
    }
    return small_study(planted_shards, tmp_path_factory.mktemp("studies"), *sets[request.param])


def saved(trial: Trial, folder: Path) -> Path:
    folder.mkdir()
    trial.save(folder)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / LAST) | {f"best {name}": value for name, value in load_file(folder / BEST).items()}


def test_a_trial_goes_on_from_any_rung_with_the_same_numbers(study, tmp_path):
    trial = Trial(study, CONFIG)
    told = []
    for rung in range(3):
        told.append(trial.advance())
        saved(trial, tmp_path / f"rung{rung}")
    for rung in range(2):
        resumed = Trial(study, CONFIG)
        resumed.load(tmp_path / f"rung{rung}")
        again = results(resumed)
        assert [timeless(result) for result in again] == [timeless(result) for result in told[rung + 1 :]]
        end = weights(saved(resumed, tmp_path / f"again{rung}"))
        assert all(torch.equal(value, end[name]) for name, value in weights(tmp_path / "rung2").items())


def test_an_attempt_is_counted_with_every_resumption(study, tmp_path):
    trial = Trial(study, CONFIG)
    assert trial.advance()["attempt"] == 0
    for attempt in (1, 2):
        saved(trial, tmp_path / str(attempt))
        trial = Trial(study, CONFIG)
        trial.load(tmp_path / str(attempt))
    assert trial.advance()["attempt"] == 2


def test_a_trial_that_follows_another_in_its_process_starts_from_nothing(study):
    before = Trial(study, CONFIG)
    before.advance()
    fresh = ran(study, lr=1e-3)
    assert [timeless(result) for result in results(Trial(study, CONFIG | {"lr": 1e-3}))] == [
        timeless(result) for result in fresh
    ]


@pytest.fixture
def checkpoint(planted_shards, tmp_path):
    study = small_study(planted_shards, tmp_path)
    trial = Trial(study, CONFIG)
    trial.advance()
    return study, saved(trial, tmp_path / "checkpoint")


def test_a_checkpoint_names_its_fixed_branches_and_holds_the_others(checkpoint):
    _, folder = checkpoint
    standing = json.loads((folder / STANDING).read_text())
    branches = {name.split("/")[1].split(".")[1] for name in weights(folder) if "/branches." in name}
    assert branches == {"audio"}
    assert {len(keys) for keys in standing["branches"].values()} == {2}
    assert set(standing["branches"]) == {"rgb", "flow", "audio"}


def test_a_checkpoint_without_its_moments_is_refused(checkpoint):
    study, folder = checkpoint
    (folder / MOMENTS).unlink()
    with pytest.raises(FileNotFoundError):
        Trial(study, CONFIG).load(folder)


def actor(study, trial_id):
    """What Tune starts for a trial."""
    made = TuneTrial.__new__(TuneTrial)
    made.setup(CONFIG, study, launch=1)
    made._trial_info = SimpleNamespace(trial_id=trial_id)
    return made


def kept(study, folder, trial_id, launch):
    """Puts a checkpoint where a launch of the study keeps it."""
    return Path(shutil.copytree(folder, Path(study.storage, "tune", str(launch), trial_id, "checkpoint_000000")))


@pytest.mark.parametrize("lost", [STANDING, LAST, MOMENTS, None])
def test_a_trial_whose_checkpoint_was_removed_begins_anew(checkpoint, lost):
    study, folder = checkpoint
    place = kept(study, folder, f"without {lost}", launch=1)
    if lost is None:
        shutil.rmtree(place)
    else:
        (place / lost).unlink()
    assert actor(study, f"without {lost}")._continued().curve == []


def test_a_trial_goes_on_from_the_newest_complete_checkpoint_of_any_launch_however_it_comes_to_start(checkpoint):
    study, folder = checkpoint
    kept(study, folder, "0007", launch=2)
    (kept(study, folder, "0007", launch=10) / MOMENTS).unlink()
    made = actor(study, "0007")
    assert made._continued().curve == json.loads((folder / STANDING).read_text())["curve"]
    made._trial = Trial(study, CONFIG)
    made.restore(None)
    assert made._trial is None, "the next step looks for the checkpoint again"
    made._trial = Trial(study, CONFIG)
    assert made.reset_config(CONFIG)
    assert made._trial is None


def test_a_checkpoint_of_another_configuration_under_the_same_id_is_left_alone(checkpoint):
    study, folder = checkpoint
    kept(study, folder, "0008", launch=1)
    other = kept(study, folder, "0008", launch=2)
    standing = json.loads((other / STANDING).read_text())
    (other / STANDING).write_text(json.dumps(standing | {"config": CONFIG | {"lr": 1e-3}, "curve": []}))
    made = actor(study, "0008")
    assert len(made._continued().curve) == 1, "from the first launch"
    made.reset_config(CONFIG | {"lr": 2e-3})
    assert made._continued().curve == []


def test_a_trial_that_was_lost_before_it_could_report_its_end_reports_it_with_its_whole_curve(checkpoint, monkeypatch):
    study, _ = checkpoint
    monkeypatch.setattr("ray.get_runtime_context", lambda: SimpleNamespace(get_node_id=lambda: "here"))
    place = Path(study.storage, "tune", "1", "0009", "checkpoint_000000")
    first = actor(study, "0009")
    first.save = lambda: (place.mkdir(parents=True), first.save_checkpoint(str(place)))
    while (last := first.step())["progress"] != 1.0:
        assert not place.exists()
    again = actor(study, "0009").step()
    assert again["curve"] == first._trial.curve
    assert again["curve"][-len(last["curve"]) :] == last["curve"]
    assert (again["rung"], again["val_spearman"]) == (last["rung"], last["val_spearman"])
    assert last["done"] is again["done"] is False, "the search says when a trial is done"


def test_a_checkpoint_of_another_version_is_refused(checkpoint):
    study, folder = checkpoint
    standing = json.loads((folder / STANDING).read_text())
    (folder / STANDING).write_text(json.dumps(standing | {"version": 99}))
    with pytest.raises(ValueError, match="version 99 is not 2"):
        Trial(study, CONFIG).load(folder)


def test_the_checkpoint_of_a_finished_trial_holds_no_moments(planted_shards, tmp_path):
    trial = Trial(small_study(planted_shards, tmp_path), CONFIG)
    results(trial)
    folder = saved(trial, tmp_path / "checkpoint")
    assert sorted(path.name for path in folder.iterdir()) == sorted([LAST, BEST, STANDING])


def test_a_trial_whose_branches_diverged_can_be_saved(planted_shards, tmp_path):
    sets = ("fixed.phase1_lr=10", "fixed.phase1_weight_decay=1", "fixed.phase1_epochs=40")
    study = small_study(planted_shards, tmp_path, *sets)
    trial = Trial(study, CONFIG)
    reason = trial.advance()["status_reason"]
    resumed = Trial(study, CONFIG)
    resumed.load(saved(trial, tmp_path / "checkpoint"))
    assert resumed.reason == reason
