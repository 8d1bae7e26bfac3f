"""Every phase against a plain loop: one network, torch's own optimisers, clips cut by hand, no padding of batches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from phase_cases import WIDTHS, planted, pretrained, replica, settings_of
from torch import Tensor, nn

from pamfn.architectures import build_network
from pamfn.data.bank import Bank
from pamfn.data.clips import crop_starts
from pamfn.data.features import FeatureSet
from pamfn.model.network import PAMFN, build_branch
from pamfn.phases.branches import branch_training, install_branches
from pamfn.phases.fusion import fusion_training
from pamfn.phases.replica import Replica
from pamfn.phases.target import fit_target
from pamfn.recipe import Recipe
from pamfn.replicas.cut import cut, initialise
from pamfn.replicas.noise import Noise
from pamfn.replicas.segments import Segments
from pamfn.seeding import derive, generator

# float64 through some twenty steps: the order of sums is all that differs. The release's normalisation of a constant
# divides rounding noise by the root of batch norm's epsilon at every step, which costs two digits.
CLOSE = 1e-6


@pytest.fixture(autouse=True)
def _double(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    torch.set_default_dtype(torch.float64)

    def doubled(*args: Any, **kwargs: Any) -> nn.Module:  # the temperature as well
        return build_network(*args, **kwargs).double()

    monkeypatch.setattr("pamfn.phases.fusion.build_network", doubled)
    yield
    torch.set_default_dtype(torch.float32)


def clip_of(features: FeatureSet, video: int, start: int, length: int) -> tuple[dict[str, Tensor], int]:
    """Returns one clip of every modality, (length, D), zeros after the video's end, and its real segments."""
    first, last = features.offsets[video] + start, features.offsets[video] + features.lengths[video]
    clips = {name: np.zeros((length, values.shape[1])) for name, values in features.features.items()}
    real = min(length, last - first)
    for name, values in features.features.items():
        clips[name][:real] = values[first : first + real]
    return {name: torch.from_numpy(values) for name, values in clips.items()}, real


def batches(mine: Replica, features: FeatureSet, settings: Recipe, epoch: int) -> Iterator[list[tuple[int, int]]]:
    """Yields an epoch's batches of (video, first segment); a last one of one video joins the one before."""
    order = generator(mine.seed, "order", epoch).permutation(len(mine.train))
    starts = crop_starts(features.lengths[mine.train], settings.clip, generator(mine.seed, "crops", epoch))
    pairs = [(int(mine.train[i]), int(starts[i])) for i in order]
    size = settings.batch_size
    cut_up = [pairs[i : i + size] for i in range(0, len(pairs), size)]
    if len(cut_up[-1]) == 1 and len(cut_up) > 1:
        cut_up[-2:] = [cut_up[-2] + cut_up[-1]]
    yield from cut_up


def train_plainly(
    network: nn.Module, mine: Replica, features: FeatureSet, settings: Recipe, *, phase: int, epochs: int
) -> list[float]:
    """Trains one network in the most ordinary way; returns the loss of every step."""
    kind, peak, decay, norm, schedule, floor = (
        (settings.optimizer, settings.lr, settings.weight_decay, settings.clip_norm, settings.schedule, 5e-6)
        if phase == 2
        else (settings.phase1_optimizer, settings.phase1_lr, 1e-4, settings.phase1_clip_norm, "cosine", 5e-6)
    )
    trained = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    for _, p in trained:
        p.grad = torch.zeros_like(p)
    head = [p for name, p in trained if phase == 2 and name.startswith("head.")]
    body = [p for name, p in trained if not any(p is h for h in head)]
    groups = [{"params": body}, {"params": head}] if head else [{"params": body}]
    optimizer: torch.optim.Optimizer = (
        torch.optim.AdamW(groups, weight_decay=decay)
        if kind == "adamw"
        else torch.optim.SGD(groups, lr=0.0, momentum=0.9, weight_decay=decay)
    )
    target = fit_target(settings.target, mine.scores_V[mine.train], mine.largest).encode(mine.scores_V)
    losses: list[float] = []
    network.train()
    for epoch in range(epochs):
        rate = floor + (peak - floor) * (1 + math.cos(math.pi * epoch / epochs)) / 2 if schedule == "cosine" else peak
        for group, scale in zip(optimizer.param_groups, (1.0, 0.1), strict=False):
            group["lr"] = rate * scale
        for batch in batches(mine, features, settings, epoch):
            clips, real = zip(*(clip_of(features, *pair, settings.clip) for pair in batch), strict=True)
            x = {name: torch.stack([clip[name] for clip in clips])[None] for name in features.features}
            real_RB = torch.tensor(real)[None]
            masked = settings.padding == "mask"
            segments = Segments(settings.clip, real_RB) if masked else Segments(settings.clip, None, real_RB=real_RB)
            score_B = network(x, segments, Noise([mine.seed], [len(losses)])).score_RB[0]
            truth_B = torch.tensor(target[[v for v, _ in batch]], dtype=torch.float32)
            loss = (score_B - truth_B).square().mean()
            optimizer.zero_grad(set_to_none=False)
            loss.backward()
            if norm is not None:
                nn.utils.clip_grad_norm_([p for _, p in trained], norm)
            optimizer.step()
            losses.append(loss.item())
    return losses


def score_plainly(network: nn.Module, features: FeatureSet, videos: np.ndarray) -> list[float]:
    """Scores videos one by one."""
    network.eval()
    scores = []
    for video in videos:
        length = int(features.lengths[video])
        x = {name: values[None, None] for name, values in clip_of(features, video, 0, length)[0].items()}
        scores.append(network(x, Segments(length), None).score_RB.item())
    return scores


COMPANY = {  # training videos: a last batch of one that joins, a short one, a full one, and fewer than a batch
    "joined": (9, 0, 3),
    "short": (10, 11, 4),
    "full": (8, 22, 5),
    "few": (3, 3, 6),
}

PHASE2 = {
    "paper": settings_of("two"),
    "unequal budgets": settings_of("two", epochs={"joined": 2, "short": 3, "full": 1, "few": 4}),
    "released": settings_of("two", "released", evaluation_noise=False),
    "one stage": settings_of("one", stages=3, standardise=True, clip=5),
    "masked": settings_of("two", padding="mask", standardise=True),
    "quantiles, sgd, constant, clipped": settings_of(
        "two", target="quantile", optimizer="sgd", schedule="constant", clip_norm=0.05, lr=0.05
    ),
}


@pytest.mark.parametrize("case", PHASE2)
def test_replicas_side_by_side_train_as_each_would_in_a_plain_loop(case: str) -> None:
    settings, features = PHASE2[case], planted(dtype=np.float64)
    bank = Bank.of(features, dtype=torch.float64)
    replicas = [replica(features, n, first=at, seed=s, task=task) for task, (n, at, s) in COMPANY.items()]
    branches = None if settings.phases == "one" else pretrained(settings, replicas, bank)
    training = fusion_training(settings, replicas, bank, branches)
    (report,) = training.run([1.0])
    predicted = training.predict()

    for i, mine in enumerate(replicas):
        network = PAMFN(settings, WIDTHS, [derive(mine.seed, "fusion")])
        plain: dict[str, nn.Module] = dict(network.branches.items())
        if branches is None:
            standardise_plainly(plain, features, mine)
            network.fix([])
        else:
            install_branches(plain, {name: [states[i]] for name, states in branches.items()})
            network.fix(["rgb", "flow"])
        for branch in plain.values():
            branch.head.requires_grad_(False)
        network.double()
        losses = train_plainly(network, mine, features, settings, phase=2, epochs=settings.epochs_of(mine.task))
        assert report.losses[i] == pytest.approx(np.mean(losses), abs=1e-6)  # summed in float32
        assert report.epochs[i] == settings.epochs_of(mine.task)
        np.testing.assert_allclose(predicted[i], score_plainly(network, features, mine.valid), atol=CLOSE)
        expected = cut(network, 0)
        for name, value in cut(training.network, i).items():
            torch.testing.assert_close(value, expected[name], atol=CLOSE, rtol=0, msg=f"{mine.task}: {name}")


def standardise_plainly(branches: dict[str, nn.Module], features: FeatureSet, mine: Replica) -> None:
    for name, branch in branches.items():
        rows = features.features[name][features.rows(mine.train)]
        branch.standardise.mean[0] = torch.from_numpy(rows.mean(0))
        branch.standardise.scale[0] = torch.from_numpy(1 / rows.std(0))


@pytest.mark.parametrize("changes", [{}, {"phase1_clip_norm": 0.05, "padding": "mask"}, {"phase1_optimizer": "adamw"}])
def test_branches_side_by_side_train_as_each_would_in_a_plain_loop(changes: dict[str, object]) -> None:
    settings, features = settings_of("two", phase1_epochs=3, **changes), planted(dtype=np.float64)
    bank = Bank.of(features, dtype=torch.float64)
    replicas = [replica(features, n, first=at, seed=s, task=task) for task, (n, at, s) in COMPANY.items()]
    training = branch_training(settings, "flow", replicas, bank)
    list(training.run([1 / 3, 1.0]))
    predicted = training.predict()
    for i, mine in enumerate(replicas):
        branch = build_branch(settings, "flow", WIDTHS["flow"], 1)
        initialise(branch, [derive(mine.seed, "branch", "flow")])
        train_plainly(branch, mine, features, settings, phase=1, epochs=3)
        np.testing.assert_allclose(predicted[i], score_plainly(branch, features, mine.valid), atol=CLOSE)
