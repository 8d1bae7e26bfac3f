"""The verdict on the test split: by class and on average, beside the branches, the best epoch, the reference."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pyarrow.parquet as pq
import pytest
from final_rows import CANDIDATE, REFERENCE, choice, two_classes

from pamfn.metrics import fisher_mean
from pamfn.published import Published
from tuning.selection.comparing import difference, gain, measured
from tuning.selection.judging import _result, judge, read_results
from tuning.selection.training import folder_of, read_curve, train_final
from tuning.selection.words import lines_of

OPENING = {"number": 1, "chosen": "this"}


@pytest.fixture(scope="module", name="study")
def _study(planted_shards, tmp_path_factory):
    study = two_classes(planted_shards, tmp_path_factory.mktemp("studies"))
    for candidate in (CANDIDATE, REFERENCE):
        train_final(study, candidate)
    return study


@pytest.fixture(scope="module", name="judged")
def _judged(study):
    return judge(study, choice(), OPENING)


def test_the_verdict_holds_every_class_the_average_and_each_single_branch(judged):
    models = judged["candidates"][0]["models"]
    assert set(models) == {"fusion", "rgb", "flow", "audio"}
    average, classes = models["fusion"]["average"], models["fusion"]["classes"]
    assert set(classes) == {"Ball", "Hoop"}
    networks = [r for value in classes.values() for r in value["each"]]
    assert (len(average["each"]), len(networks)) == (2, 4)
    mean = math.tanh(sum(math.atanh(r) for r in networks) / 4)
    assert average["spearman"] == pytest.approx(mean)
    assert average["low"] < average["high"]
    averages = [math.tanh((math.atanh(networks[seed]) + math.atanh(networks[seed + 2])) / 2) for seed in (0, 1)]
    assert average["deviation"] == pytest.approx(abs(averages[0] - averages[1]) / math.sqrt(2))
    for part in ("average", "classes"):
        assert part in models["rgb"]["fusion_gain"]
    gap = models["rgb"]["fusion_gain"]["average"]
    assert gap["spearman"] == pytest.approx(mean - models["rgb"]["average"]["spearman"])
    assert gap["low"] <= gap["spearman"] <= gap["high"]


def test_the_optimistic_number_is_each_network_at_its_best_test_epoch(study, judged):
    optimistic = judged["candidates"][0]["optimistic"]
    curves = read_curve(folder_of(study, CANDIDATE))["scores"]
    peaks = {name: max(curve) for name, curve in curves.items()}
    ball = fisher_mean([peaks[f"Ball/all/seed{seed}"] for seed in (0, 1)])
    assert optimistic["classes"]["Ball"]["spearman"] == pytest.approx(ball)
    assert optimistic["average"]["spearman"] == pytest.approx(fisher_mean(list(peaks.values())))
    last = judged["candidates"][0]["models"]["fusion"]["average"]["spearman"]
    assert optimistic["average"]["by"] == pytest.approx(optimistic["average"]["spearman"] - last)
    assert optimistic["average"]["by"] >= -1e-9
    assert optimistic["epochs"] == 9


def test_the_last_epoch_is_judged(study, judged):
    curves = read_curve(folder_of(study, CANDIDATE))["scores"]
    each = judged["candidates"][0]["models"]["fusion"]["classes"]["Ball"]["each"]
    assert each == pytest.approx([curves[f"Ball/all/seed{seed}"][-1] for seed in (0, 1)])


def test_the_reference_stands_beside_and_is_no_candidate(judged):
    assert [row["trial_id"] for row in judged["candidates"]] == ["0003"]
    assert (judged["reference"]["trial_id"], judged["reference"]["rank"]) == ("0000", 0)
    assert judged["reference"]["difference"] is None
    gap = judged["candidates"][0]["difference"]
    mine, theirs = (judged[key] for key in ("candidates", "reference"))
    for task in ("Ball", "Hoop"):
        between = [row["models"]["fusion"]["classes"][task]["spearman"] for row in (mine[0], theirs)]
        assert gap["classes"][task]["spearman"] == pytest.approx(between[0] - between[1])
    assert gap["average"]["low"] < gap["average"]["spearman"] < gap["average"]["high"]


def test_a_reference_among_the_candidates_has_one_row(study):
    alone = choice(reference=CANDIDATE)
    judged = judge(study, alone, OPENING)
    assert judged["reference"] == judged["candidates"][0]
    assert judged["reference"]["difference"] is None
    assert any("the best of 12 is the first trial's configuration itself" in line for line in lines_of(judged))


def test_a_reference_that_could_not_be_trained_is_left_out(study):
    judged = judge(study, choice(), OPENING, failed=["0000"])
    assert judged["reference"] is None
    assert judged["candidates"][0]["difference"] is None
    assert any("could not be trained" in line for line in lines_of(judged))


def test_planted_classes_that_are_not_all_the_paper_s_have_no_figure_of_it(judged):
    assert judged["published"] is None


def test_classes_that_the_paper_has_figures_for_get_them(study, monkeypatch):
    figures = Published("a table", {"Ball": 0.7, "Hoop": 0.8}, 0.755)
    monkeypatch.setattr("pamfn.published.PAPER", (figures,))
    judged = judge(study, choice(), OPENING)
    assert judged["published"] == {"source": "a table", "classes": {"Ball": 0.7, "Hoop": 0.8}, "average": 0.755}
    said = "the paper (a table; best test epoch): average 0.755  Ball 0.700  Hoop 0.800"
    assert said in list(lines_of(judged))


@pytest.mark.parametrize(
    ("changes", "paper"),
    [({"first": "paper"}, True), ({"first": {"fusion_nets": 4}}, False), ({"first": "paper", "search": {}}, False)],
)
def test_only_a_first_trial_at_the_paper_s_values_is_called_the_paper_s(study, monkeypatch, changes, paper):
    figures = Published("a table", {"Ball": 0.7, "Hoop": 0.8}, 0.755)
    monkeypatch.setattr("pamfn.published.PAPER", (figures,))
    changed = dataclasses.replace(study, space=study.space.model_copy(update=changes))
    assert _result(changed, choice(), OPENING, {})["paper"] is paper


def test_the_verdict_is_written_and_read_back(study):
    judged = judge(study, choice(), OPENING)
    assert read_results(study) == json.loads(json.dumps(judged))
    lines = list(lines_of(judged))
    assert lines[0].startswith("test split opened (opening 1 of this data); 2 networks a class")
    assert any("optimistic by 0." in line for line in lines)


def test_every_network_s_score_of_every_test_video_is_kept(study, judged):
    table = pq.read_table(folder_of(study, CANDIDATE) / "predictions.parquet")
    assert table.num_rows == 2 * 2 * 30
    assert set(table["network"].to_pylist()) == {f"{t}/all/seed{s}" for t in ("Ball", "Hoop") for s in (0, 1)}


def model(seed: int, quality: float, *, videos: int = 60, seeds: int = 5, truth: int = 0):
    """Networks that show a part ``quality`` of what is annotated, each with clutter of its own."""
    scores = np.random.default_rng(truth).standard_normal(videos)
    rng = np.random.default_rng([seed, 1])
    shown = quality * scores + np.sqrt(1 - quality**2) * rng.standard_normal((seeds, videos))
    return measured([1 / (1 + np.exp(-shown))], [scores], 0)


def test_equal_configurations_are_rarely_told_apart_though_their_seeds_differ():
    """By videos alone, what the seeds make of a configuration would pass for the configuration."""
    told, by_videos = 0, 0
    for seed in range(60):
        one, other = (model(2 * seed + i, 0.7, truth=seed) for i in (0, 1))
        between, videos = difference(one, other, 0), gain(one, other)
        told += between["low"] > 0 or between["high"] < 0
        by_videos += videos["low"] > 0 or videos["high"] < 0
    assert told <= 6  # of 60, at a level of 5%
    assert told <= by_videos


def test_configurations_that_truly_differ_are_told_apart():
    gap = difference(model(1, 0.9), model(2, 0.5), 0)
    assert 0 < gap["low"] < gap["spearman"] < gap["high"]


def test_one_seed_each_tells_no_difference():
    assert difference(model(1, 0.9, seeds=1), model(2, 0.5, seeds=1), 0)["low"] is None
