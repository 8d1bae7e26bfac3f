"""The verdict on highlight detectors: mean average precision by class, over videos and seeds, worked by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from final_rows import choice

from pamfn.data.bank import Bank
from pamfn.highlights.average_precision import average_precision
from pamfn.phases.replica import Replica
from tuning.planted import ensure_planted
from tuning.request import parse, requested_study
from tuning.score_metric import MAP, SPEARMAN
from tuning.sections import Synthetic
from tuning.selection.choosing import Candidate, is_tie
from tuning.selection.comparing import difference, gain, measured_precisions
from tuning.selection.judging import judge, read_results
from tuning.selection.luck import flattery
from tuning.selection.measuring import AVERAGE, by_class
from tuning.selection.training import folder_of, read_curve, train_final
from tuning.selection.words import lines_of

OPENING = {"number": 1, "chosen": "this"}
DOG, SURFING = np.array([[1.0, 0.5], [0.8, 0.3]]), np.array([[0.2, 0.4], [0.6, 0.8]])
"""Average precisions of two networks on two videos each."""


def test_the_score_is_the_plain_mean_over_videos_seeds_and_classes() -> None:
    model = measured_precisions([DOG, SURFING], 0)
    assert model.each == [pytest.approx([0.75, 0.55]), pytest.approx([0.3, 0.7])]
    told = model.told()
    assert told["map"] == pytest.approx((0.75 + 0.55 + 0.3 + 0.7) / 4)
    assert told["each"] == pytest.approx([0.525, 0.625])
    assert told["deviation"] == pytest.approx(0.1 / math.sqrt(2))
    assert "spearman" not in told
    assert 0.4 <= told["low"] < told["map"] < told["high"] <= 0.75  # the worst and the best video of each class alone


def test_draws_of_videos_are_paired_so_that_a_constant_gain_has_no_width() -> None:
    gap = gain(measured_precisions([DOG, SURFING], 3), measured_precisions([DOG - 0.1, SURFING - 0.1], 3))
    assert gap == pytest.approx({"map": 0.1, "low": 0.1, "high": 0.1})


def detector(seed: int, level: float, *, topic: int = 0, videos: int = 60, seeds: int = 5) -> np.ndarray:
    """Average precisions whose videos differ in how hard they are, for all alike, and in each network's luck."""
    hard = np.random.default_rng(topic).uniform(-0.2, 0.2, videos)
    return np.clip(level + hard + np.random.default_rng([seed, 1]).normal(0, 0.1, (seeds, videos)), 0, 1)


def test_equal_detectors_are_rarely_told_apart_and_better_ones_are() -> None:
    told = 0
    for seed in range(60):
        one, other = (measured_precisions([detector(2 * seed + i, 0.6, topic=seed)], 0) for i in (0, 1))
        gap = difference(one, other, 0)
        told += gap["low"] > 0 or gap["high"] < 0
    assert told <= 8  # of 60 at a level of 5%: more than 8 in one set in a hundred
    gap = difference(measured_precisions([detector(1, 0.7)], 0), measured_precisions([detector(2, 0.6)], 0), 0)
    assert 0 < gap["low"] < gap["map"] < gap["high"]
    one_seed = [measured_precisions([detector(i, 0.6, seeds=1)], 0) for i in (1, 2)]
    assert difference(*one_seed, 0)["low"] is None


def test_a_tie_of_detectors_is_one_of_plain_differences() -> None:
    """Of differences 0.03, 0.03 and -0.01 the mean, 0.0167, is above its standard error, 0.0133.

    On Fisher's scale the last, between 0.98 and 0.99, is -0.349 and outweighs the others, 0.041 each.
    """

    def trial(*scores: float) -> dict:
        return {"scores": {f"dog/fold{i}/seed0": score for i, score in enumerate(scores)}}

    better, worse = trial(0.53, 0.53, 0.98), trial(0.5, 0.5, 0.99)
    assert not is_tie(better, worse, MAP)
    assert is_tie(better, worse, SPEARMAN)
    assert is_tie(trial(0.52, 0.5, 0.6), trial(0.5, 0.5, 0.61), MAP)


def test_the_luck_of_the_best_detector_is_told_in_precision() -> None:
    shown = np.array([[0.5, 0.6, 0.7], [0.62, 0.7, 0.84], [0.5, 0.62, 0.68], [0.4, 0.52, 0.58]])
    found = flattery([{f"dog/fold{i}/seed0": x for i, x in enumerate(row)} for row in shown], 0, MAP)
    assert found.best == pytest.approx(0.72)
    # what is left of rows and columns, squared and summed, over 6 degrees of freedom and 3 replicas
    left = shown - shown.mean(1, keepdims=True) - shown.mean(0) + shown.mean()
    assert found.noise == pytest.approx(math.sqrt((left**2).sum() / 6 / 3))
    assert found.by == pytest.approx(found.best - found.corrected)
    assert found.low < found.corrected <= found.best
    assert found.by <= found.at_most


def test_segments_are_scored_video_by_video() -> None:
    """Network 1 of dog: 2 segments of one video, 3 of another; the annotation above 0 is a highlight."""
    matches = torch.tensor([1.0, -1.0, 0.0, 1.0, -1.0, 1.0, 0.0])
    bank = Bank(
        {"rgb": torch.zeros(7, 1)}, torch.tensor([0, 2, 5]), torch.tensor([2, 3, 1]), matches
    )  # the last row stands for what is not there

    def network(task: str, videos: list[int], seed: int) -> Replica:
        nothing = np.zeros(0, dtype=np.int64)
        return Replica(f"{task}/all/seed{seed}", task, -1, seed, nothing, np.array(videos), np.zeros(3), 1.0)

    replicas = [
        network("dog", [0, 1], 0),
        network("dog", [0, 1], 1),
        network("surfing", [2], 0),
        network("surfing", [2], 1),
    ]
    right, wrong = np.array([0.9, 0.1, 0.2, 0.8, 0.3]), np.array([0.1, 0.9, 0.8, 0.2, 0.3])
    found = by_class([right, wrong, np.array([0.4]), np.array([0.6])], replicas, bank, MAP, 0)
    # The highlight second of two: area (0 + 1/2) / 2; third of three: (0 + 1/3) / 2
    assert found["dog"].each == [pytest.approx([1.0, (1 / 4 + 1 / 6) / 2])]
    assert found["surfing"].each == [[1.0, 1.0]]
    assert found[AVERAGE].score == pytest.approx((1 + 5 / 24 + 1 + 1) / 4)


SETS = (
    *("data.action=[dog, surfing]", "evaluation.group=athlete", "evaluation.folds=2", "fixed.width=8"),
    *("fixed.epochs=4", "fixed.phase1_epochs=3", "data.clip=36", "scheduler.grace_epochs=1", "final.seeds=2"),
)
CONFIGS = [{"fusion_nets": 4, "tau_init": 10.0, "lr": lr, "stages": 2} for lr in (2e-3, 5e-4)]
BEST, PAPER = (Candidate(rank=1 - i, trial_id=f"000{i}", config=c, objective=None) for i, c in enumerate(CONFIGS))


@pytest.fixture(scope="module", name="study")
def _study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("highlights")
    ensure_planted(Synthetic(size="highlights-tiny"), folder / "shards")
    words = ["--space", "highlights.yaml", "--data", str(folder / "shards"), "--storage", str(folder / "studies")]
    study = requested_study(parse([*words, *(word for change in SETS for word in ("--set", change))]))[0]
    for candidate in (BEST, PAPER):
        train_final(study, candidate)
    return study


@pytest.fixture(scope="module", name="judged")
def _judged(study):
    return judge(study, choice(BEST, reference=PAPER), OPENING)


def test_the_verdict_is_in_precision_and_nothing_calls_it_a_correlation(study, judged) -> None:
    assert judged["metric"] == "map"
    assert "spearman" not in json.dumps(judged)
    assert read_results(study) == json.loads(json.dumps(judged))
    models = judged["candidates"][0]["models"]
    assert set(models) == {"fusion", "rgb", "flow", "audio"}
    average, classes = models["fusion"]["average"], models["fusion"]["classes"]
    each = [score for value in classes.values() for score in value["each"]]
    assert average["map"] == pytest.approx(sum(each) / 4)
    assert average["low"] < average["map"] < average["high"]
    gap = models["audio"]["fusion_gain"]["average"]
    assert gap["map"] == pytest.approx(average["map"] - models["audio"]["average"]["map"])
    between = judged["candidates"][0]["difference"]["average"]
    assert between["map"] == pytest.approx(average["map"] - judged["reference"]["models"]["fusion"]["average"]["map"])
    lines = list(lines_of(judged))
    assert f"average {average['map']:.3f} [" in lines[1]


def test_the_networks_of_the_last_epoch_are_judged_and_the_best_epoch_is_told_beside(study, judged) -> None:
    curves = read_curve(folder_of(study, BEST))["scores"]
    row = judged["candidates"][0]
    for task in ("dog", "surfing"):
        mine = [curves[f"{task}/all/seed{seed}"] for seed in (0, 1)]
        assert row["models"]["fusion"]["classes"][task]["each"] == pytest.approx([curve[-1] for curve in mine])
        assert row["optimistic"]["classes"][task]["map"] == pytest.approx(np.mean([max(curve) for curve in mine]))
    peaks = [max(curve) for curve in curves.values()]
    assert row["optimistic"]["average"]["map"] == pytest.approx(np.mean(peaks))


def test_every_segment_s_chance_is_kept_with_its_label_and_makes_the_score(study, judged) -> None:
    table = pq.read_table(folder_of(study, BEST) / "predictions.parquet").to_pandas()
    assert list(table) == ["network", "task", "video_id", "segment", "predicted", "label"]
    assert set(table["network"]) == {f"{task}/all/seed{seed}" for task in ("dog", "surfing") for seed in (0, 1)}
    for (_, _), video in table.groupby(["network", "video_id"]):
        assert video["segment"].tolist() == list(range(len(video)))
    classes = judged["candidates"][0]["models"]["fusion"]["classes"]
    for task in ("dog", "surfing"):
        for seed in (0, 1):
            mine = table[table["network"] == f"{task}/all/seed{seed}"]
            videos = [average_precision(v["predicted"], v["label"] > 0) for _, v in mine.groupby("video_id")]
            assert classes[task]["each"][seed] == pytest.approx(np.mean(videos))
