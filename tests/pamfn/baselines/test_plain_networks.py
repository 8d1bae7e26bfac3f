"""What every network of plain torch must do, whichever model it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pamfn.architectures import bound, build_network
from pamfn.recipe import recipe
from pamfn.replicas.noise import Noise
from pamfn.replicas.segments import Segments

ONE, TWO, THREE = {"rgb": 20}, {"rgb": 20, "flow": 14}, {"rgb": 20, "flow": 14, "audio": 12}
CASES: dict[str, tuple[Mapping[str, int], dict[str, Any]]] = {
    "gdlt": (ONE, {"model": "gdlt"}),
    "gdlt, otherwise": (
        ONE,
        {
            "model": "gdlt",
            "gdlt.queries": 5,
            "gdlt.heads": 4,
            "gdlt.encoder_layers": 2,
            "gdlt.decoder_layers": 1,
            "gdlt.feed_forward": 1,
        },
    ),
    "action-net": (ONE, {"model": "action-net"}),
    "action-net, one stream": (ONE, {"model": "action-net", "action-net.one_modality": "dropped"}),
    "action-net, two modalities": (TWO, {"model": "action-net", "action-net.graph_layers": 1}),
    "ms-lstm": (ONE, {"model": "ms-lstm", "ms-lstm.dropout": 0.2}),
    "ms-lstm, skipping": (ONE, {"model": "ms-lstm", "ms-lstm.cell": "skip", "ms-lstm.dropout": 0.2}),
    "joint-va": (TWO, {"model": "joint-va"}),
    "joint-va, otherwise": (
        TWO,
        {
            "model": "joint-va",
            "joint-va.heads": 4,
            "joint-va.reads": "other",
            "joint-va.hidden": 1,
            "head_dropout": 0.2,
        },
    ),
    "msaf": (THREE, {"model": "msaf"}),
    "msaf, otherwise": (
        TWO,
        {"model": "msaf", "msaf.block": 12, "msaf.reduction": 5, "msaf.block_dropout": 0.0, "stages": 4},
    ),
    "umt": (TWO, {"model": "umt"}),
    "umt, otherwise": (
        TWO,
        {
            "model": "umt",
            "umt.queries": "learned",
            "umt.heads": 2,
            "umt.tokens": 1,
            "umt.layers": 2,
            "umt.feed_forward": 1,
            "head_dropout": 0.2,
        },
    ),
}
STEPS = 23
CANCELLED = ("attention.2.bias",)  # what a softmax cancels, as it is the same for all segments


@pytest.fixture(params=CASES, name="case")
def _case(request: pytest.FixtureRequest) -> str:
    return request.param


def network(case: str) -> nn.Module:
    """Returns one network of a case, in training."""
    widths, changes = CASES[case]
    made = recipe(width=32, **changes)
    torch.manual_seed(5)
    return made.of.build(widths, **bound(made))


def company(case: str, *seeds: int) -> nn.Module:
    """Returns replicas of a case, in training."""
    widths, changes = CASES[case]
    return build_network(recipe(width=32, **changes), widths, seeds)


def videos(case: str, *shape: int, seed: int = 7) -> dict[str, Tensor]:
    """Returns features by stream, (*shape, inputs)."""
    draws = torch.Generator().manual_seed(seed)
    return {name: torch.randn(*shape, width, generator=draws) for name, width in CASES[case][0].items()}


def loss(made: nn.Module, x: Mapping[str, Tensor], targets_B: Tensor) -> Tensor:
    """Returns the loss of a batch, with the same dropout every time."""
    torch.manual_seed(11)
    scored = made(x)
    return (scored.score_B - targets_B).square().mean() + (0 if scored.penalty is None else scored.penalty)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 8, 9, 12, STEPS])
def test_videos_of_any_length_get_a_score_between_0_and_1(case, steps):
    made = network(case).eval()
    for count in (1, 3):
        scored = made(videos(case, count, steps))
        assert scored.score_B.shape == (count,)
        assert ((scored.score_B > 0) & (scored.score_B < 1)).all()
        assert scored.penalty is None


@pytest.mark.parametrize("steps", [1, 8, STEPS])
def test_a_lone_clip_of_any_length_can_be_trained_on(case, steps):
    made = network(case).train()
    scored = made(videos(case, 1, steps))
    assert scored.score_B.isfinite().all()
    assert scored.penalty is None or (scored.penalty.isfinite() and scored.penalty.shape == ())


def test_gradients_reach_every_parameter(case):
    made = network(case).train()
    loss(made, videos(case, 6, STEPS), torch.linspace(0.1, 0.9, 6)).backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        moved = parameter.grad.abs().max()
        assert moved < 1e-6 if name.endswith(CANCELLED) else moved > 0, name


def test_scoring_draws_nothing_and_leaves_nothing_behind(case):
    made = network(case).eval()
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    x = videos(case, 4, STEPS)
    torch.manual_seed(1)
    first = made(x).score_B
    torch.manual_seed(2)
    assert torch.equal(first, made(x).score_B)
    assert all(torch.equal(tensor, before[name]) for name, tensor in made.state_dict().items())


@pytest.mark.parametrize("gradients", [True, False])
def test_a_score_depends_on_neither_the_other_videos_nor_their_order(case, gradients):
    made = network(case).eval()
    x, order = videos(case, 4, STEPS), torch.tensor([2, 0, 3, 1])
    with torch.set_grad_enabled(gradients):
        score_B = made(x).score_B.detach()
        shuffled_B = made({name: of[order] for name, of in x.items()}).score_B.detach()
        alone_B = torch.cat([made({name: of[b : b + 1] for name, of in x.items()}).score_B for b in range(4)]).detach()
    assert score_B.unique().numel() == 4
    torch.testing.assert_close(shuffled_B, score_B[order], rtol=0, atol=1e-6)
    torch.testing.assert_close(alone_B, score_B, rtol=0, atol=1e-6)


def test_a_step_on_a_batch_lowers_its_loss(case):
    made, x, targets_B = network(case).train(), videos(case, 6, STEPS), torch.linspace(0.1, 0.9, 6)
    before = loss(made, x, targets_B)
    before.backward()
    length = torch.nn.utils.get_total_norm([parameter.grad for parameter in made.parameters()])
    with torch.no_grad():
        for parameter in made.parameters():
            parameter -= 1e-3 * parameter.grad / length
    assert loss(made, x, targets_B) < before


def test_dropout_comes_from_torchs_generator(case):
    made, x = network(case).train(), videos(case, 6, STEPS)
    scores = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        scores.append(made(x).score_B)
    assert torch.equal(scores[0], scores[1])
    assert not torch.equal(scores[0], scores[2])


@pytest.mark.parametrize("training", [True, False])
def test_a_replica_alone_is_what_it_is_in_company(case, training):
    both, alone = company(case, 1, 2).train(training), company(case, 2).train(training)
    x = videos(case, 2, 4, STEPS)
    mine = {name: of[1:] for name, of in x.items()}
    output = both(x, Segments(STEPS), Noise([3, 4], [8, 8]))
    expected = alone(mine, Segments(STEPS), Noise([4], [8]))
    assert output.score_RB.shape == (2, 4)
    assert not torch.equal(output.score_RB[0], output.score_RB[1])
    assert torch.equal(output.score_RB[1:], expected.score_RB)
    assert torch.equal(output.penalty_R[1:], expected.penalty_R)
    (output.score_RB.sum() + output.penalty_R.sum()).backward()
    (expected.score_RB.sum() + expected.penalty_R.sum()).backward()
    for together, apart in zip(both.parameters(), alone.parameters(), strict=True):
        assert torch.equal(together.grad[1:], apart.grad)
    for together, apart in zip(both.buffers(), alone.buffers(), strict=True):
        assert torch.equal(together[1:], apart)


def test_a_padded_batch_of_replicas_scores_each_video_as_it_is_without_padding(case):
    both, lengths = company(case, 1, 2).eval(), [STEPS, 5, 1]
    x = videos(case, 2, 3, STEPS)
    score_RB = both(x, Segments(STEPS, torch.tensor([lengths] * 2)), None).score_RB
    for b, length in enumerate(lengths):
        video = {name: of[:, b : b + 1, :length] for name, of in x.items()}
        expected_R1 = both(video, Segments(length), None).score_RB
        torch.testing.assert_close(score_RB[:, b : b + 1], expected_R1, rtol=0, atol=1e-6)
