"""Every model of the catalogue through a whole launch: one study with a trial of each, all judged at its end."""

from __future__ import annotations

import json
import math
import re

import pytest
from launching import Launch
from mlflow import MlflowClient

from pamfn.catalogue import MODELS
from pamfn.phases.saved import load_networks
from tuning.tracking import read_study

pytestmark = pytest.mark.slow

IN_PARTS = {"branch": ["branch:rgb", "branch:audio"], "weighted-one-stage": ["weighted-one-stage:rgb+flow"]}
NAMES = [name for model in MODELS for name in IN_PARTS.get(model.name, [model.name])] + ["pamfn:flow+audio"]
SPACE = {
    "version": 1,
    "data": {"synthetic": {"size": "tiny"}, "action": ["Ball"]},
    "search": {"model": {"type": "choice", "values": NAMES}},
    "fixed": {"width": 8, "epochs": 2, "phase1_epochs": 2, "batch_size": 16, "clip": 16, "fusion_nets": 3},
    "evaluation": {"folds": 2, "group": "athlete"},
    "scheduler": {"type": "none"},
    "searcher": {"type": "grid"},
    "budget": {"trials": len(NAMES)},
    "tracking": {"checkpoints": "all"},
    "final": {"top": len(NAMES), "seeds": 1},
}


@pytest.fixture(scope="module", name="ended")
def _ended(tmp_path_factory, launch_home):
    folder = tmp_path_factory.mktemp("models")
    (folder / "models.yaml").write_text(json.dumps(SPACE))
    launch = Launch(folder, launch_home, "--space", "models.yaml")
    return folder, launch.ended(480)


def test_every_model_trains_to_its_end_and_scores(ended):
    folder, launched = ended
    assert (launched.status, launched.err) == (0, ""), launched.out
    results = read_study(f"sqlite:///{folder / 'mlflow.db'}", "models")
    trials = {trial.values["model"]: trial for trial in results.trials}
    assert set(trials) == set(NAMES)
    for name, trial in trials.items():
        assert trial.reason == "finished", name
        assert math.isfinite(trial.score), name


def test_every_model_is_saved_and_judged_on_the_test_split(ended):
    folder, launched = ended
    judged = json.loads((folder / "studies" / "models" / "final.json").read_text())
    trained = [load_networks(path.parent) for path in (folder / "studies" / "models" / "final").glob("*/networks.json")]
    assert sorted(networks.recipe.model for networks in trained) == sorted(NAMES)
    assert len(judged["candidates"]) == len(NAMES)
    assert re.search(r"test split opened", launched.out)


def test_models_that_stand_on_pretrained_branches_share_them(ended):
    folder, _ = ended
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("models")
    runs = client.search_runs([experiment.experiment_id], "tags.kind = 'trial'")
    trained = sum(int(run.data.tags["branches_trained"]) for run in runs)
    assert trained == 2 * 3  # of two folds and three modalities
