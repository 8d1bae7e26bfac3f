"""MSAF: what it consists of, and blocks of channels that are weighed against each other."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pamfn.architectures import build_network
from pamfn.baselines.msaf import SplitAttention, SplitBlocks
from pamfn.recipe import default_of, recipe

WIDTHS = {"rgb": 1024, "flow": 1024, "audio": 768}
THREE = {"rgb": 6, "flow": 5, "audio": 4}


def randn(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def blocks(width: int = 6, streams: int = 2, **changes: Any) -> SplitBlocks:
    torch.manual_seed(3)
    made = SplitBlocks(width, streams, **{"block": 3, "reduction": 2, "dropout": 0.0, **changes}).double()
    torch.nn.init.normal_(made.joint.weight)
    torch.nn.init.normal_(made.weigh.weight)
    return made.eval()


def network(**changes: Any) -> SplitAttention:
    torch.manual_seed(3)
    given = {"width": 8, "stages": 3, "embedding_dropout": 0.0, "head_dropout": 0.0, "block": 4, **changes}
    return SplitAttention(THREE, **given).double()


def test_it_has_nearly_the_published_number_of_parameters():
    network = build_network(recipe(model="msaf"), WIDTHS, [1])
    total = sum(parameter.numel() for parameter in network.parameters())
    joint = 128 * 64 + 64 + 2 * 64
    weighing = 3 * 2 * (64 * 128 + 128)
    branches = 5_395_459 - 3 * 257  # without their heads
    assert total == branches + 3 * (joint + weighing) + 769 == 5_570_369


def test_weights_sum_to_1_across_the_blocks_of_all_streams():
    made, x = blocks(streams=3), [randn(4, 5, 6, seed=s) for s in range(3)]
    weights_BMNC = made.weights(torch.stack([of.unflatten(-1, (2, 3)) for of in x], dim=2))
    assert weights_BMNC.shape == (4, 3, 2, 3)
    assert (weights_BMNC > 0).all()
    assert weights_BMNC.std((1, 2)).min() > 0.01
    torch.testing.assert_close(weights_BMNC.sum((1, 2)), torch.ones(4, 3, dtype=torch.float64))


def test_channels_are_multiplied_by_their_blocks_weights():
    made = blocks(width=2, block=1, reduction=1)
    with torch.no_grad():
        made.weigh.weight.zero_()
        made.weigh.bias.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]).log())  # weights .1 .2 .3 .4, whatever is squeezed
    first, second = made([torch.tensor([[[10.0, 20.0]]]).double(), torch.tensor([[[30.0, 40.0]]]).double()])
    torch.testing.assert_close(first, torch.tensor([[[1.0, 4.0]]]).double())
    torch.testing.assert_close(second, torch.tensor([[[9.0, 16.0]]]).double())


@pytest.mark.parametrize(("width", "block"), [(6, 3), (8, 3), (6, 20)])
def test_blocks_are_rescaled_as_a_loop_over_them_says(width, block):
    made, x = blocks(width, block=block), [randn(2, 5, width, seed=s) for s in range(2)]
    size = min(block, width)
    count = math.ceil(width / size)
    rescaled = made(x)
    for b in range(2):
        split = [of[b, :, n * size : (n + 1) * size] for of in x for n in range(count)]
        squeezed = torch.zeros(size, dtype=torch.float64)
        for part in split:
            squeezed[: part.shape[1]] += part.mean(0)
        joint = made.joint(squeezed) / math.sqrt(1 + made.norm.eps)
        joint = joint.clamp(min=0)
        logits = [made.weigh.weight[k * size : (k + 1) * size] @ joint for k in range(len(split))]
        logits = [of + made.weigh.bias[k * size : (k + 1) * size] for k, of in enumerate(logits)]
        total = sum(of.exp() for of in logits)
        parts = [part * (of.exp() / total)[: part.shape[1]] for part, of in zip(split, logits, strict=True)]
        for m in range(2):
            expected = torch.cat(parts[m * count : (m + 1) * count], dim=1)
            torch.testing.assert_close(rescaled[m][b], expected)


def test_a_stream_is_rescaled_by_what_the_others_say():
    made, mine, theirs = blocks(reduction=1), randn(2, 5, 6), randn(2, 5, 6, seed=2)
    assert not torch.allclose(made([mine, theirs])[0], made([mine, 2 * theirs])[0])
    order = torch.tensor([3, 0, 4, 2, 1])  # but not by when they say it
    torch.testing.assert_close(made([mine, theirs[:, order]])[0], made([mine, theirs])[0])


def test_training_leaves_out_whole_blocks_of_a_video():
    made = blocks(dropout=0.5)
    with torch.no_grad():
        made.weigh.weight.zero_()
        made.weigh.bias.zero_()
    made.train()
    ones = torch.ones(40, 5, 6, dtype=torch.float64)
    for y_BTD in made([ones, ones]):
        y_BTNC = y_BTD.unflatten(-1, (2, 3))
        assert torch.equal(y_BTNC, y_BTNC[:, :1, :, :1].expand_as(y_BTNC))
        assert y_BTNC.unique().tolist() == [0.0, 0.5]  # a quarter, and twice that
        left_out = (y_BTNC[:, 0, :, 0] == 0).double().mean().item()
        assert left_out == pytest.approx(0.5, abs=0.22)  # four deviations of 80 coins


def test_split_attention_follows_every_stage():
    made, seen = network().eval(), []
    for split in made.splits:
        split.register_forward_hook(lambda _, given, __: seen.append([of.shape[1] for of in given[0]]))
    made({stream: randn(2, 9, width) for stream, width in THREE.items()})
    assert seen == [[4, 4, 4], [2, 2, 2], [1, 1, 1]]


def test_a_score_is_made_of_what_the_stages_and_blocks_hand_on():
    made = network().eval()
    x = {stream: randn(2, 9, width) for stream, width in THREE.items()}
    streams = {stream: made.branches[stream].embed(of) for stream, of in x.items()}
    for stage in range(3):
        pooled = [made.branches[stream].stage(stage, of) for stream, of in streams.items()]
        streams = dict(zip(streams, made.splits[stage](pooled), strict=True))
    fused_BD = torch.cat([of[:, 0] for of in streams.values()], dim=1)
    expected_B = torch.sigmoid(fused_BD @ made.score.weight[0] + made.score.bias)
    torch.testing.assert_close(made(x).score_B, expected_B)


def test_joint_features_have_at_least_one_channel():
    assert blocks(block=2, reduction=64).joint.out_features == 1


def test_its_options_stand_in_space_files_under_its_name():
    assert [default_of(f"msaf.{name}") for name in ("block", "reduction", "block_dropout")] == [128, 2, 0.2]
    with pytest.raises(ValueError, match=r"msaf.block_dropout: 1.0 is outside 0 to 0.95"):
        recipe(model="msaf", **{"msaf.block_dropout": 1.0})
