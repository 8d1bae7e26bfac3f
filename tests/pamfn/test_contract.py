"""What every model of the catalogue does, whichever it is: one suite, and a new line of the catalogue is in it."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pamfn.architectures import build_network, outline, step_flops, trained_network
from pamfn.catalogue import MODELS, Model
from pamfn.data.bank import Bank
from pamfn.phases.fusion import fusion_members, fusion_mould, training_of
from pamfn.phases.program import Program
from pamfn.phases.replica import Replica
from pamfn.phases.scoring import predict
from pamfn.recipe import Recipe, recipe
from pamfn.replicas.cut import cut
from pamfn.replicas.noise import Noise
from pamfn.replicas.segments import Segments

WIDTHS = {"rgb": 12, "flow": 10, "audio": 6}
SHAPE = {"width": 16, "fusion_nets": 3, "stages": 3, "clip": 11, "batch_size": 6, "epochs": 8}
LENGTHS = (11, 9, 4, 11, 7)
CLOSE = 1e-5
CANCELLED = re.compile(  # biases that a norm, or a softmax over tokens or segments, takes away again
    r"(linear[12]|conv[12]|shortcut|projections\.\d|key|attention\.2)\.bias$"
)


@pytest.fixture(params=MODELS, ids=lambda model: model.name, name="model")
def _model(request: pytest.FixtureRequest) -> Model:
    return request.param


# Behind the exact start's zeros, as in the paper; CMFD's query is made of them alone where there is no MSFD.
SHUT = ("stages.0.mixed.", "stages.0.msfd.attention.query.weight")
SHUT_ALONE = (*SHUT, "stages.0.cmfd.attention.query.weight")


def settings(model: Model, **changes: object) -> Recipe:
    return recipe(model=model.name, **{**SHAPE, **changes})


def clips(rows: int, seed: int = 1) -> tuple[dict[str, Tensor], Segments]:
    """Returns the same ragged videos for every row, zeros beyond their ends."""
    draws, lengths = torch.Generator().manual_seed(seed), torch.tensor(LENGTHS)
    real_BT1 = (torch.arange(max(LENGTHS)) < lengths[:, None])[..., None]
    x = {n: torch.randn(len(LENGTHS), max(LENGTHS), w, generator=draws) * real_BT1 for n, w in WIDTHS.items()}
    return {n: of[None].repeat(rows, 1, 1, 1) for n, of in x.items()}, Segments(
        max(LENGTHS), lengths[None].repeat(rows, 1)
    )


def trainable(model: Model, *seeds: int) -> nn.Module:
    if model.kind == "closed":
        pytest.skip("a formula has no gradient")
    return build_network(settings(model, phases="one"), WIDTHS, seeds).train()


def evaluated(model: Model) -> nn.Module:
    """Returns two replicas in evaluation, fitted where a formula fits them."""
    if model.kind != "closed":
        return build_network(settings(model), WIDTHS, [1, 2]).eval()
    training = training_of(settings(model), [replica(1), replica(2)], bank(), None)
    list(training.run([1.0]))
    return training.network.eval()


def features(videos: int = 30) -> tuple[NDArray[np.float64], NDArray[np.int64], dict[str, NDArray[np.float64]]]:
    """Returns qualities, lengths, and segments in which quality is a direction, and noise."""
    draws = np.random.default_rng(3)
    lengths = draws.integers(5, 14, videos)
    quality = draws.uniform(0.2, 0.9, videos)
    per_S = np.repeat(quality - 0.5, lengths)[:, None]
    rows = {n: 3 * per_S * draws.normal(size=w) + draws.normal(0, 0.3, (lengths.sum(), w)) for n, w in WIDTHS.items()}
    return quality, lengths, rows


def bank() -> Bank:
    _, lengths, rows = features()
    made = {n: torch.cat([torch.from_numpy(of).float(), torch.zeros(1, of.shape[1])]) for n, of in rows.items()}
    starts = torch.from_numpy(np.cumsum(lengths) - lengths)
    return Bank(made, starts, torch.from_numpy(lengths))


def replica(seed: int) -> Replica:
    quality, _, _ = features()
    videos = np.arange(len(quality))
    return Replica("Ball/fold0/seed0", "Ball", 0, seed, videos[:20], videos[20:], 25 * quality, 25.0)


def test_scores_lie_between_0_and_1_and_have_a_place_for_every_video(model: Model) -> None:
    x, segments = clips(2)
    with torch.no_grad():
        score_RB = evaluated(model)(x, segments, None).score_RB
    assert score_RB.shape == (2, len(LENGTHS))
    assert ((score_RB >= 0) & (score_RB <= 1)).all()


def test_evaluation_is_the_same_every_time(model: Model) -> None:
    network, (x, segments) = evaluated(model), clips(2)
    with torch.no_grad():
        assert torch.equal(network(x, segments, None).score_RB, network(x, segments, None).score_RB)


def test_neither_the_order_of_a_batch_nor_its_padding_matters(model: Model) -> None:
    network, (x, segments) = evaluated(model), clips(2)
    with torch.no_grad():
        together = network(x, segments, None).score_RB
        order = torch.tensor([3, 0, 4, 2, 1])
        shuffled = network({n: of[:, order] for n, of in x.items()}, Segments(11, segments.lengths_RB[:, order]), None)
        torch.testing.assert_close(shuffled.score_RB, together[:, order], atol=CLOSE, rtol=0)
        for video, length in enumerate(LENGTHS):
            mine = {n: of[:, video : video + 1, :length] for n, of in x.items()}
            alone = network(mine, Segments(length, torch.full((2, 1), length)), None).score_RB
            torch.testing.assert_close(alone, together[:, video : video + 1], atol=CLOSE, rtol=0)


def test_gradients_reach_every_trained_parameter(model: Model) -> None:
    network = trainable(model, 1, 2)
    mould = fusion_mould(settings(model, phases="one"), bank())
    program = Program(mould)
    members = fusion_members(settings(model, phases="one"), [replica(1), replica(2)], bank(), None)
    for seat in program.admit(members):
        seat.goal = 6  # the mixed branch's first block has zeros behind it until something else has moved
    moved = {name: False for name, p in program.network.named_parameters() if p.requires_grad}
    while program.busy:
        program.step()
        for name, parameter in program.network.named_parameters():
            if parameter.requires_grad:
                moved[name] |= bool((parameter.grad.reshape(len(parameter), -1) != 0).any(1).all())
    assert network is not program.network
    shut = SHUT_ALONE if model.settings.get("msfd") == "none" else SHUT
    still = [name for name, has in moved.items() if not has and not CANCELLED.search(name)]
    assert [name for name in still if not name.startswith(shut)] == []


def test_a_step_on_a_fixed_batch_lowers_its_loss(model: Model) -> None:
    network, (x, segments) = trainable(model, 3), clips(1)
    target_B = torch.tensor([0.1, 0.9, 0.3, 0.7, 0.5])
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)

    def loss() -> Tensor:
        output = network(x, segments, Noise([5], [0]))
        penalty = 0 if output.penalty_R is None else output.penalty_R.sum()
        return (output.score_RB - target_B).square().mean() + penalty

    first = loss()
    for _ in range(3):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss() < first


def test_a_replica_is_saved_as_plain_tensors_and_scores_as_it_did(model: Model) -> None:
    network, (x, segments) = evaluated(model), clips(2)
    states = network.states if model.kind == "closed" else [cut(network, row) for row in range(2)]
    again = trained_network(settings(model), WIDTHS, states).eval()
    with torch.no_grad():
        assert torch.equal(again(x, segments, None).score_RB, network(x, segments, None).score_RB)


def test_a_training_goes_on_from_a_checkpoint_with_the_same_numbers(model: Model) -> None:
    made = settings(model, phases="one", epochs=4)
    whole, first = (training_of(made, [replica(1), replica(2)], bank(), None) for _ in range(2))
    (expected,) = whole.run([1.0])
    list(first.run([0.5]))
    second = training_of(made, [replica(1), replica(2)], bank(), None)
    for row in range(2):
        second.restore(row, first.state(row))
    (found,) = second.run([1.0])
    assert found.scores == expected.scores
    for one, other in zip(second.predict(), whole.predict(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_model_can_be_outlined_and_its_work_forecast(model: Model) -> None:
    made = settings(model)
    assert all(parameter.is_meta for parameter in outline(made, WIDTHS).parameters())
    assert step_flops(made, WIDTHS, videos=4) == 2 * step_flops(made, WIDTHS, videos=2) > 0


def test_a_trained_model_ranks_videos_of_planted_quality(model: Model) -> None:
    made = settings(
        model, phases="one", epochs=20, **({} if model.kind == "closed" else {"lr": 3e-3, "optimizer": "adamw"})
    )
    training = training_of(made, [replica(1)], bank(), None)
    (report,) = training.run([1.0])
    assert report.scores[0] > 0.5  # features are the quality and noise: chance is 0 +- .33
    assert len(predict(training.network, bank().only(*made.streams(tuple(WIDTHS))), [np.arange(3)])[0]) == 3
