"""Two studies that are launched at once over the same storage and the same tracking database."""

from __future__ import annotations

import pytest
from launching import Launch, quick, tracked
from mlflow import MlflowClient

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", name="studies")
def _studies(tmp_path_factory, launch_home):
    folder = tmp_path_factory.mktemp("company")
    changes = ("search.stages=null", "fixed.stages=2", "fixed.phase1_epochs=20", "final.top=0")
    launches = [
        Launch(folder, launch_home, *quick("--num-samples", "2", "--name", name, "--seed", "0", changes=changes))
        for name in ("one", "two")
    ]
    return folder, [launch.ended() for launch in launches]


def test_both_end_with_exit_status_0(studies):
    _, ended = studies
    assert [(each.status, each.err) for each in ended] == [(0, ""), (0, "")]


def test_a_branch_that_both_want_is_trained_once(studies):
    folder, _ = studies
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiments = [tracked(folder, name).experiment_id for name in ("one", "two")]
    runs = client.search_runs(experiments, "tags.kind = 'trial'")
    assert len(runs) == 4
    assert sum(int(run.data.tags["branches_trained"]) for run in runs) == 3 * 4
    assert all(int(run.data.tags["branches_trained"]) + int(run.data.tags["branches_loaded"]) == 12 for run in runs)
    assert len(list((folder / "studies" / "branches").glob("*.safetensors"))) == 12


def test_planted_data_that_both_make_are_there_once_and_whole(studies):
    folder, _ = studies
    names = [path.name for path in (folder / "studies" / "data").iterdir()]
    assert names == ["planted-tiny-seed0"]


def test_the_same_seed_gives_the_same_trials(studies):
    folder, _ = studies
    one, two = (tracked(folder, name).trials for name in ("one", "two"))
    assert {str(trial.values) for trial in one} == {str(trial.values) for trial in two}
