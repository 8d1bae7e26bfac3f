from pathlib import Path

import pytest
from planted_study import CONFIG, small_study

from pamfn.data.shards import read_table_of_contents
from tuning.forecast import disk as disk_module
from tuning.forecast.artefacts import artefacts_of
from tuning.forecast.disk import disk_of, trial_bytes
from tuning.forecast.work import final_networks, networks_of_a_trial
from tuning.trial import Trial


@pytest.fixture
def study(planted_shards, tmp_path):
    return small_study(planted_shards, tmp_path / "studies")


def resolved(study, **changes):
    contents = read_table_of_contents(study.data)[1]
    networks, recipe = networks_of_a_trial(study, contents), study.space.recipe(CONFIG)
    counts = {"concurrent": 2, "waiting": 0, "finished": 4, "trials": 14, "candidates": 3, **changes}
    artefacts = artefacts_of(study, networks, [[recipe]])
    return disk_of(study, recipe, networks, artefacts=artefacts, finals=final_networks(study, contents), **counts)


def sizes(folder):
    return {path.name: path.stat().st_size for path in folder.glob("*.safetensors")}


def test_a_checkpoint_has_the_bytes_that_were_forecast(planted_shards, tmp_path):
    study = small_study(planted_shards, tmp_path / "studies", "fixed.width=48", "fixed.epochs=1", "scheduler.type=none")
    trial = Trial(study, CONFIG)
    trial.advance()
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    trial.save(folder)
    forecast = trial_bytes(trial.recipe, networks_of_a_trial(study, read_table_of_contents(study.data)[1]))
    written = sizes(folder)
    # A header names every tensor, which counts in networks as small as these; an ended trial keeps no moments.
    assert forecast.weights == pytest.approx(sum(written.values()), rel=0.1)
    assert forecast.running == 2 * (forecast.weights + 2 * 4 * 2 * forecast.trained)


def test_trials_that_run_or_wait_keep_their_checkpoints(study):
    of = resolved(study, waiting=5)
    assert (of.running, of.waiting) == (2 * of.trial.running, 5 * of.trial.running)


@pytest.mark.parametrize(("policy", "kept"), [("all", 14), ("finished", 4), ("top", 0)])
def test_mlflow_keeps_what_the_policy_says(planted_shards, tmp_path, policy, kept):
    study = small_study(planted_shards, tmp_path, f"tracking.checkpoints={policy}")
    of = resolved(study)
    assert of.logged == kept * of.trial.weights


def test_final_networks_are_kept_twice_with_their_branches(study):
    one, three = resolved(study, candidates=1), resolved(study, candidates=3)
    assert three.final == 3 * one.final > 0
    assert three.branches - one.branches == 2 * (one.branches - resolved(study, candidates=0).branches) > 0


def test_folders_of_one_file_system_share_its_room(study):
    of = resolved(study)
    (place,) = of.places
    assert place.folder == study.root
    assert place.needed == of.running + of.waiting + of.logged + of.branches + of.final
    assert place.fits


def test_a_file_system_without_room_does_not_fit(study, monkeypatch):
    monkeypatch.setattr(disk_module, "free_disk", lambda folder: 1000)
    assert not resolved(study).places[0].fits


def test_what_a_server_keeps_needs_no_room_here(study):
    from dataclasses import replace

    here, away = resolved(study), resolved(replace(study, tracking_uri="http://127.0.0.1:5000"))
    assert here.places[0].needed - away.places[0].needed == here.logged + here.final // 2


def test_planted_data_that_are_not_there_take_room(planted_shards, tmp_path, monkeypatch):
    from tuning.request import parse, requested_study

    monkeypatch.chdir(tmp_path)
    study, _ = requested_study(parse(["--space", "quickstart.yaml", "--dry-run"]))
    written = sum(path.stat().st_size for path in Path(planted_shards).iterdir())
    assert written < disk_module.planted_bytes(study) < 2 * written  # shards are compressed
