"""Both phases learn labelled segments as a plain loop does, report mAP, and keep the promises of a program."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest
import torch
from highlight_cases import marked, replica, small
from torch import Tensor, nn
from torch.nn import functional

from pamfn.architectures import build_network
from pamfn.data.bank import Bank
from pamfn.data.clips import crop_starts
from pamfn.data.features import FeatureSet
from pamfn.highlights.average_precision import average_precision
from pamfn.metrics import AVERAGES
from pamfn.model.network import PAMFN, build_branch
from pamfn.phases.branches import branch_settings, branch_states, branch_training, install_branches
from pamfn.phases.fusion import fusion_training
from pamfn.phases.replica import Replica
from pamfn.phases.report import Report
from pamfn.phases.training import Training
from pamfn.recipe import Recipe
from pamfn.replicas.cut import cut, initialise
from pamfn.replicas.noise import Noise
from pamfn.replicas.segments import Segments
from pamfn.seeding import derive, generator

States = Mapping[str, Sequence[Mapping[str, Tensor]]]


@pytest.fixture
def _double(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    monkeypatch.setattr("pamfn.phases.fusion.build_network", lambda *a, **k: build_network(*a, **k).double())
    yield
    torch.set_default_dtype(torch.float32)


def pretrained(settings: Recipe, replicas: list[Replica], bank: Bank) -> States:
    trainings = {modality: branch_training(settings, modality, replicas, bank) for modality in bank.widths}
    for training in trainings.values():
        list(training.run([1.0], score=False))
    return {modality: branch_states(training) for modality, training in trainings.items()}


def fusion(settings: Recipe, replicas: list[Replica], bank: Bank, *, room: int = 0) -> Training:
    return fusion_training(settings, replicas, bank, pretrained(settings, replicas, bank), room=room)


def train_plainly(
    network: nn.Module, mine: Replica, features: FeatureSet, settings: Recipe, *, epochs: int, head: str
) -> list[float]:
    """Trains one network one clip at a time, unpadded, on the cross-entropy written out; returns every step's loss."""
    trained = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    for _, p in trained:  # the optimiser of a program also decays what has no gradient yet
        p.grad = torch.zeros_like(p)
    groups = [
        [p for n, p in trained if not (head and n.startswith(head))],
        [p for n, p in trained if head and n.startswith(head)],
    ]
    optimizer = torch.optim.AdamW([{"params": of} for of in groups if of], weight_decay=1e-4)
    losses: list[float] = []
    network.train()
    for epoch in range(epochs):
        rate = 5e-6 + (5e-4 - 5e-6) * (1 + math.cos(math.pi * epoch / epochs)) / 2
        for group, scale in zip(optimizer.param_groups, (1.0, settings.head_lr_scale), strict=False):
            group["lr"] = rate * scale
        order = generator(mine.seed, "order", epoch).permutation(len(mine.train))
        starts = crop_starts(features.lengths[mine.train], settings.clip, generator(mine.seed, "crops", epoch))
        for i in order:
            first = features.offsets[mine.train[i]] + starts[i]
            rows = slice(
                first, min(first + settings.clip, features.offsets[mine.train[i]] + features.lengths[mine.train[i]])
            )
            steps = rows.stop - rows.start
            x = {name: torch.from_numpy(values[rows])[None, None] for name, values in features.features.items()}
            assert features.segment_labels is not None
            label_T = torch.from_numpy(features.segment_labels[rows] > 0)
            # the network is given the padded clip, for its dropout is drawn by place
            x = {name: functional.pad(values, (0, 0, 0, settings.clip - steps)) for name, values in x.items()}
            segments = Segments(settings.clip, torch.tensor([[steps]]))
            chance_T = network(x, segments, Noise([mine.seed], [len(losses)])).logits_RBT[0, 0, :steps].sigmoid()
            loss = -torch.where(label_T, chance_T.log(), (1 - chance_T).log()).mean()
            optimizer.zero_grad(set_to_none=False)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def predict_plainly(network: nn.Module, features: FeatureSet, videos: np.ndarray) -> list[np.ndarray]:
    """Returns every segment's chance, one whole video at a time."""
    network.eval()
    found = []
    for video in videos:
        rows = slice(features.offsets[video], features.offsets[video] + features.lengths[video])
        x = {name: torch.from_numpy(values[rows])[None, None] for name, values in features.features.items()}
        with torch.no_grad():
            found.append(network(x, Segments(int(features.lengths[video])), None).logits_RBT[0, 0].sigmoid().numpy())
    return found


@pytest.mark.usefixtures("_double")
def test_phase_1_trains_as_a_plain_loop_does() -> None:
    features, settings = marked(dtype=np.float64), small()
    mine, bank = replica(features, first=3), Bank.of(features, dtype=torch.float64)
    training = branch_training(settings, "audio", [mine], bank)
    [report] = training.run([1.0])
    branch = build_branch(settings, "audio", 3, 1)
    initialise(branch, [derive(mine.seed, "branch", "audio")])
    losses = train_plainly(branch, mine, features, settings, epochs=2, head="")
    assert report.losses == pytest.approx([np.mean(losses)], abs=1e-7)
    plain = np.concatenate(predict_plainly(branch, features, mine.valid))
    np.testing.assert_allclose(training.predict()[0], plain, atol=1e-7)


@pytest.mark.usefixtures("_double")
def test_phase_2_trains_as_a_plain_loop_does() -> None:
    features, settings = marked(dtype=np.float64), small()
    mine, bank = replica(features, first=3), Bank.of(features, dtype=torch.float64)
    branches = pretrained(settings, [mine], bank)
    training = fusion_training(settings, [mine], bank, branches)
    [report] = training.run([1.0])
    network = build_network(settings, bank.widths, [derive(mine.seed, "fusion")]).double()
    assert isinstance(network, PAMFN)
    install_branches({name: network.branches[name] for name in bank.widths}, branches)
    network.fix(["rgb", "flow"])
    for branch in network.branches.values():
        branch.head.requires_grad_(False)
    losses = train_plainly(network, mine, features, settings, epochs=4, head="head.")
    assert report.losses == pytest.approx([np.mean(losses)], abs=1e-6)
    plain = np.concatenate(predict_plainly(network, features, mine.valid))
    np.testing.assert_allclose(training.predict()[0], plain, atol=1e-6)


def test_the_report_is_the_mean_average_precision_of_the_held_out_videos() -> None:
    features, bank = marked(), Bank.of(marked())
    replicas = [replica(features), replica(features, first=8, seed=2)]
    training = fusion(small(), replicas, bank)
    [report] = training.run([1.0])
    for mine, predicted, score in zip(replicas, training.predict(), report.scores, strict=True):
        ends = np.cumsum(features.lengths[mine.valid])
        assert len(predicted) == ends[-1]
        assert features.segment_labels is not None
        labels = [features.segment_labels[features.rows([v])] > 0 for v in mine.valid]
        precisions = [average_precision(x, y) for x, y in zip(np.split(predicted, ends[:-1]), labels, strict=True)]
        assert score == pytest.approx(np.mean(precisions), abs=1e-12)
    assert report.metric == "map"
    assert AVERAGES[report.metric](report.scores) == pytest.approx(np.mean(report.scores))
    assert (report.of(1).metric, Report.joined([report, report]).metric) == ("map", "map")


def test_a_borderline_segment_and_a_rejected_one_are_the_same_to_the_loss() -> None:
    features = marked()
    assert features.segment_labels is not None
    merged = marked()
    assert merged.segment_labels is not None
    merged.segment_labels[:] = np.where(features.segment_labels > 0, 7.0, -3.0)
    losses = []
    for each in (features, merged):
        training = branch_training(small(), "rgb", [replica(each)], Bank.of(each))
        losses.append([report.losses for report in training.run([0.5, 1.0])])
    assert losses[0] == losses[1]


def test_a_replica_gets_the_same_numbers_alone_and_in_company() -> None:
    features, bank = marked(), Bank.of(marked())
    replicas = [replica(features, 5 + seed, first=seed, seed=seed) for seed in (1, 2, 3)]
    [together] = fusion(small(), replicas, bank).run([1.0])
    for row, mine in enumerate(replicas):
        [alone] = fusion(small(), [mine], bank).run([1.0])
        assert alone.losses == pytest.approx(together.losses[row : row + 1], abs=1e-5)
        assert alone.scores == pytest.approx(
            together.scores[row : row + 1], abs=0.02
        )  # a near tie may fall the other way


def test_cached_maps_of_fixed_branches_change_nothing() -> None:
    features, bank = marked(), Bank.of(marked())
    replicas = [replica(features), replica(features, first=7, seed=2)]
    cached, computed = (fusion(small(), replicas, bank, room=room) for room in (1 << 24, 0))
    assert set(cached._program.bank.widths) == {"audio"}
    [one], [other] = cached.run([1.0]), computed.run([1.0])
    assert one.losses == pytest.approx(other.losses, abs=1e-6)
    for mine, theirs in zip(cached.predict(), computed.predict(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_a_training_that_was_interrupted_goes_on_to_the_same_bits() -> None:
    features, bank = marked(), Bank.of(marked())
    through, first, rest = (fusion(small(), [replica(features)], bank) for _ in range(3))
    list(through.run([0.5, 1.0]))
    list(first.run([0.5]))
    rest.restore(0, first.state(0))
    list(rest.run([1.0]))
    ours, theirs = through.state(0), rest.state(0)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_diverged_replica_has_no_score_and_spoils_no_neighbour() -> None:
    features, bank = marked(), Bank.of(marked())
    training = fusion(small(), [replica(features), replica(features, first=7, seed=2)], bank)
    with torch.no_grad():
        training.network.head.score.weight[0, 0, 0] = torch.nan
    [report] = training.run([1.0])
    assert math.isnan(report.scores[0])
    assert report.ended[0].startswith("diverged")
    assert math.isfinite(report.scores[1])
    assert report.ended[1] == ""


def test_videos_without_labelled_segments_cannot_be_trained_on() -> None:
    features = marked()
    unlabelled = FeatureSet(**{**vars(features), "segment_labels": None})
    training = branch_training(small(), "rgb", [replica(features)], Bank.of(unlabelled))
    with pytest.raises(ValueError, match="segment_labels: the shards have none"):
        list(training.run([1.0]))


def test_a_branch_learns_to_find_highlights_that_its_modality_shows() -> None:
    features, bank = marked(), Bank.of(marked())
    settings = small(width=16, phase1_epochs=60, phase1_lr=5e-3, embedding_dropout=0.0, branch_head_dropout=0.0)
    training = branch_training(settings, "rgb", [replica(features, 14)], bank)
    first, *_, last = training.run([1 / 60, 0.5, 1.0])
    assert last.losses[0] < 0.5 * first.losses[0]
    assert last.scores[0] > first.scores[0]


def test_a_branch_that_was_pretrained_for_scores_is_not_taken_for_highlights() -> None:
    """Its weights would fit, so the store of pretrained branches has to tell them apart by their settings."""
    scoring, finding = small(task="score", batch_size=2), small(batch_size=2)
    shapes = [{n: v.shape for n, v in cut(build_branch(of, "rgb", 5, 1), 0).items()} for of in (scoring, finding)]
    assert shapes[0] == shapes[1]
    assert branch_settings(scoring) != branch_settings(finding)


def test_a_branch_alone_is_trained_as_a_model_of_its_own() -> None:
    features = marked()
    settings = small(model="branch:audio", optimizer="adamw", lr=5e-4)
    training = fusion_training(settings, [replica(features)], Bank.of(features), None)
    [report] = training.run([1.0])
    assert (report.metric, report.ended) == ("map", [""])
    assert 0 < report.scores[0] <= 1
    assert [len(mine) for mine in training.predict()] == [features.lengths[replica(features).valid].sum()]
