"""A study of highlight detectors through a whole launch: judged by mAP from its first folds to the test split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from launching import Launch, sets, tracked
from mlflow import MlflowClient

from pamfn.highlights.average_precision import average_precision
from tuning.replay import replayed
from tuning.search.journal import FILE, Journal

pytestmark = pytest.mark.slow

TOPICS, TRIALS = ("dog", "surfing"), 3
CHANGES = (
    *("data.synthetic.size=highlights-tiny", "data.action=[dog, surfing]", "data.clip=36"),
    *("fixed.width=8", "fixed.epochs=4", "fixed.phase1_epochs=2", "evaluation.folds=2", "evaluation.first_folds=1"),
    *("evaluation.group=athlete", "scheduler.grace_epochs=1", "scheduler.reduction=2", "searcher.warmup=2"),
    *(f"budget.trials={TRIALS}", "budget.concurrent=1", "final.top=1", "final.seeds=2"),
)


@pytest.fixture(scope="module", name="ended")
def _ended(tmp_path_factory, launch_home):
    folder = tmp_path_factory.mktemp("highlights")
    ended = Launch(folder, launch_home, "--space", "highlights.yaml", *sets(*CHANGES)).ended(480)
    assert (ended.status, ended.err) == (0, ""), ended.out
    return folder, ended


@pytest.fixture(scope="module", name="folder")
def _folder(ended) -> Path:
    return ended[0]


def runs(folder: Path) -> dict[str, dict[str, float]]:
    """The metrics of every trial's run, by the trial's id."""
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("highlights")
    found = client.search_runs([experiment.experiment_id], "tags.kind = 'trial'")
    return {run.data.tags["trial_id"]: dict(run.data.metrics) for run in found}


def test_a_score_is_the_plain_mean_of_its_folds_and_all_names_say_map(folder) -> None:
    metrics, results = runs(folder), tracked(folder, "highlights")
    assert len(metrics) == TRIALS
    for told in metrics.values():
        assert not [name for name in told if "spearman" in name]
        assert {"first_folds_map", "branch_map.rgb", "branch_map.flow", "branch_map.audio"} <= set(told)
    finished = [trial for trial in results.trials if trial.finished]
    assert finished
    for trial in finished:
        assert metrics[trial.trial_id]["best_val_map"] == trial.best
        assert set(trial.folds) == {f"val_map.{topic}.fold{fold}" for topic in TOPICS for fold in range(2)}
        assert trial.score == pytest.approx(np.mean(list(trial.folds.values())))
        assert trial.curve[-1] == (4, pytest.approx(trial.score))
        assert trial.best == pytest.approx(max(score for epoch, score in trial.curve))


def test_a_fold_that_went_ahead_is_averaged_plainly_over_its_topics(folder) -> None:
    journal = Journal(folder / "studies" / "highlights" / FILE)
    results = [event["result"] for event in journal.events if event["event"] == "reported"]
    whole = [result for result in results if result["rung"] == 0]
    assert whole
    for result in whole:
        scores = result["curve"][-1]["scores"]
        mean = np.mean([scores[f"{topic}/fold0/seed0"] for topic in TOPICS])
        assert result["fold_scores"]["0"] == pytest.approx(mean)
        assert result["val_spearman"] == pytest.approx(np.mean(list(scores.values())))


def test_its_journal_gone_through_again_decides_the_same(folder) -> None:
    assert replayed(str(folder / "studies"), "highlights").difference is None


def test_the_winner_is_judged_on_the_test_split_by_map(ended) -> None:
    folder, launched = ended
    storage = folder / "studies" / "highlights"
    judged = json.loads((storage / "final.json").read_text())
    (winner,) = judged["candidates"]
    average = winner["models"]["fusion"]["average"]
    told = runs(folder)[winner["trial_id"]]
    assert told["final_test_map"] == pytest.approx(average["map"])
    assert told["final_test_map_low"] <= average["map"] <= told["final_test_map_high"]
    table = pq.read_table(storage / "final" / winner["trial_id"] / "predictions.parquet").to_pandas()
    videos = table.groupby(["task", "network", "video_id"])
    precisions = videos.apply(lambda v: average_precision(v["predicted"], v["label"] > 0), include_groups=False)
    assert average["map"] == pytest.approx(precisions.groupby(["task", "network"]).mean().mean())
    assert "spearman" not in json.dumps(judged)
    assert f"average {average['map']:.3f} [" in launched.out


def test_what_people_read_says_map(ended) -> None:
    folder, launched = ended
    assert "val_map" in launched.out
    assert "pearman" not in launched.out
    storage = folder / "studies" / "highlights"
    columns = pq.read_table(storage / "results.parquet").schema.names
    assert {"val_map", "best_val_map"} <= set(columns)
    assert not [name for name in columns if "spearman" in name]
    page = (storage / "report.html").read_text()
    assert "mAP" in page
    assert "pearman" not in page
