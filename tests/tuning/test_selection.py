"""The end of a study: configurations are chosen by their folds, and the test split is opened once."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from planted_study import CONFIG, small_study

from pamfn.phases.saved import load_networks
from tuning import selection
from tuning.finals import lines_of
from tuning.selection import Candidate, choose, folder_of, open_test, read_results, train_final


def row(trial_id: str, score: float, reason: str = "finished") -> dict:
    return {"trial_id": trial_id, "config": CONFIG, "reason": reason, "val_spearman": score}


def test_the_best_by_their_last_score_are_chosen_among_those_that_finished():
    rows = [row("a", 0.3), row("b", 0.5), row("c", 0.9, "stopped at rung 1"), row("d", 0.8, "failed: x"), row("e", 0.4)]
    assert [(c.rank, c.trial_id, c.objective) for c in choose(rows, 2)] == [(1, "b", 0.5), (2, "e", 0.4)]


def test_nothing_is_chosen_where_nothing_finished():
    assert choose([row("a", 0.3, "stopped at rung 0"), {"trial_id": "b", "config": {}, "reason": ""}], 3) == []


def test_ties_are_broken_by_the_trial_so_that_a_resumed_study_chooses_the_same():
    assert [c.trial_id for c in choose([row("b", 0.5), row("a", 0.5)], 1)] == ["a"]


CANDIDATE = Candidate(rank=1, trial_id="a", config=CONFIG, objective=0.4)


@pytest.fixture(scope="module", name="trained")
def _trained(planted_shards, tmp_path_factory):
    study = small_study(planted_shards, tmp_path_factory.mktemp("studies"), "data.action=[Ball, Hoop]")
    train_final(study, CANDIDATE)
    return study


def test_final_networks_are_trained_on_the_training_split_alone(planted_shards, tmp_path, monkeypatch):
    asked = []
    read = selection.split_data

    def noted(study, splits, device):
        asked.append(splits)
        return read(study, splits, device)

    monkeypatch.setattr(selection, "split_data", noted)
    study = small_study(planted_shards, tmp_path)
    train_final(study, CANDIDATE)
    assert asked == [("train",)]
    assert load_networks(folder_of(study, CANDIDATE)).names == ["Ball/all/seed0", "Ball/all/seed1"]
    assert not (tmp_path / "openings.jsonl").exists()


def test_final_networks_that_are_there_are_not_trained_again(trained):
    folder = folder_of(trained, CANDIDATE)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert train_final(trained, CANDIDATE) == 0.0
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.name in before} == before


def test_final_networks_of_another_number_of_seeds_are_trained_anew(planted_shards, trained):
    more = small_study(planted_shards, Path(trained.root), "final.seeds=3", "data.action=[Ball, Hoop]")
    assert train_final(more, CANDIDATE) > 0
    assert len(load_networks(folder_of(more, CANDIDATE)).names) == 6
    train_final(trained, CANDIDATE)


def test_a_final_network_that_diverges_is_named(planted_shards, tmp_path):
    study = small_study(planted_shards, tmp_path, "search.lr.high=10", "fixed.weight_decay=1")
    with pytest.raises(ValueError, match=r"final training of trial a: Ball/all/seed\d: diverged"):
        train_final(study, Candidate(1, "a", CONFIG | {"lr": 10.0}, 0.4))


@pytest.fixture(scope="module", name="opened")
def _opened(trained):
    return open_test(trained, [CANDIDATE])


def test_the_verdict_holds_every_class_the_average_and_each_single_branch(opened):
    models = opened["candidates"][0]["models"]
    assert set(models) == {"fusion", "rgb", "flow", "audio"}
    assert set(models["fusion"]["classes"]) == {"Ball", "Hoop"}
    average = models["fusion"]["average"]
    networks = [r for value in models["fusion"]["classes"].values() for r in value["each"]]
    assert (len(average["each"]), len(networks)) == (2, 4)
    mean = math.tanh(sum(math.atanh(r) for r in networks) / 4)
    assert average["spearman"] == pytest.approx(mean)
    assert average["low"] < average["high"]
    averages = [math.tanh((math.atanh(networks[seed]) + math.atanh(networks[seed + 2])) / 2) for seed in (0, 1)]
    assert average["deviation"] == pytest.approx(abs(averages[0] - averages[1]) / math.sqrt(2))
    assert models["rgb"]["fusion_gain"]["spearman"] == pytest.approx(mean - models["rgb"]["average"]["spearman"])


def test_the_verdict_is_written_and_read_back(trained, opened):
    assert read_results(trained) == opened
    assert lines_of(opened)[0].startswith("test split opened (opening 1 of this data); 2 networks a class")


def test_every_network_s_score_of_every_test_video_is_kept(trained, opened):
    table = pq.read_table(folder_of(trained, CANDIDATE) / "predictions.parquet")
    assert table.num_rows == 2 * 2 * 30
    assert set(table["network"].to_pylist()) == {f"{t}/all/seed{s}" for t in ("Ball", "Hoop") for s in (0, 1)}


def openings(study) -> list[dict]:
    return [json.loads(line) for line in (Path(study.root) / "openings.jsonl").read_text().splitlines()]


def test_an_opening_is_recorded_by_the_digest_of_the_data(trained, opened):
    assert [(entry["digest"], entry["number"]) for entry in openings(trained)] == [(trained.digest, 1)]


def test_a_study_that_was_killed_while_it_scored_goes_on_with_its_opening(trained, opened):
    assert open_test(trained, [CANDIDATE])["opening"] == opened["opening"]
    assert len(openings(trained)) == 1


def test_a_second_look_at_the_same_data_is_counted_whatever_the_study_is_called(planted_shards, trained, opened):
    renamed = small_study(planted_shards, Path(trained.root), "data.action=[Ball, Hoop]", "seed=5")
    train_final(renamed, CANDIDATE)
    other = Candidate(1, "a", CONFIG, 0.41)
    assert open_test(renamed, [other])["opening"]["number"] == 2


def test_a_look_at_networks_of_other_seeds_is_another_look(planted_shards, tmp_path):
    studies = [small_study(planted_shards, tmp_path, "data.action=Ball", f"final.seeds={seeds}") for seeds in (1, 2)]
    for number, study in enumerate(studies, start=1):
        train_final(study, CANDIDATE)
        assert open_test(study, [CANDIDATE])["opening"]["number"] == number
