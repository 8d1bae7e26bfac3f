"""ACTION-NET: what it consists of, its graph of segments and its pooling."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from pamfn.baselines.action_net import ActionNet, ContextStream, adjacency
from pamfn.recipe import default_of, recipe


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_it_has_the_published_number_of_parameters():
    assert count(ActionNet({"rgb": 1024, "frames": 2048})) == 3_542_787


def test_one_modality_is_read_by_two_streams_of_their_own_or_by_one():
    both, dropped = ActionNet({"rgb": 1024}), ActionNet({"rgb": 1024}, one_modality="dropped")
    stream, head = 853_505, 1024 * 128 + 128 + 129
    assert count(ContextStream(1024, 256, 2)) == stream
    assert count(both) == 2 * stream + head
    assert count(dropped) == stream + head - 512 * 128
    assert not torch.equal(both.streams[0].embedding[0].weight, both.streams[1].embedding[0].weight)


@pytest.mark.parametrize("said", ["both", "dropped"])
def test_two_modalities_are_read_by_a_stream_each_whatever_is_said_of_one(said):
    made = ActionNet({"rgb": 20, "flow": 14}, width=32, one_modality=said).eval()
    draws = torch.Generator().manual_seed(1)
    x = {"rgb": torch.randn(2, 9, 20, generator=draws), "flow": torch.randn(2, 9, 14, generator=draws)}
    score_B = made(x).score_B
    for name in x:
        assert not torch.allclose(made({**x, name: x[name] + 1}).score_B, score_B)


def test_streams_of_different_length_are_read_together():
    made = ActionNet({"rgb": 20, "frames": 14}, width=32).eval()
    assert made({"rgb": torch.randn(2, 9, 20), "frames": torch.randn(2, 30, 14)}).score_B.shape == (2,)


def test_neighbours_fade_by_e_a_segment_and_rows_are_normalised():
    e, ee = math.exp(-1), math.exp(-2)
    end, middle = 1 + e + ee, 1 + 2 * e  # sums of the rows
    cross = math.sqrt(end * middle)
    expected = [
        [1 / end, e / cross, ee / end],
        [e / cross, 1 / middle, e / cross],
        [ee / end, e / cross, 1 / end],
    ]
    torch.testing.assert_close(adjacency(torch.zeros(1, 3, 8)), torch.tensor(expected))
    assert torch.equal(adjacency(torch.zeros(1, 1, 8)), torch.ones(1, 1))


def test_normalised_neighbours_never_amplify():
    near_TT = adjacency(torch.zeros(1, 40, 8, dtype=torch.float64))
    assert torch.equal(near_TT, near_TT.T)
    eigenvalues = torch.linalg.eigvalsh(near_TT)
    assert eigenvalues[-1].item() == pytest.approx(1)
    assert eigenvalues[0] > 0


def test_a_stream_is_what_a_loop_over_segments_says():
    torch.manual_seed(2)
    stream = ContextStream(6, 8, 2).double()
    x_TI = torch.randn(4, 6, dtype=torch.float64)
    sums = [sum(math.exp(-abs(i - j)) for j in range(4)) for i in range(4)]
    own = [stream.embedding(x_I) for x_I in x_TI]
    context = own
    for layer in stream.graph:
        mixed = [
            sum(math.exp(-abs(i - j)) / math.sqrt(sums[i] * sums[j]) * context[j] for j in range(4)) for i in range(4)
        ]
        context = [torch.relu(layer(of)) for of in mixed]
    seen = [torch.cat(pair) for pair in zip(own, context, strict=True)]
    logits = [stream.attention(of) for of in seen]
    total = sum(torch.exp(of) for of in logits)
    expected = sum(torch.exp(of) / total * features for of, features in zip(logits, seen, strict=True))
    torch.testing.assert_close(stream(x_TI[None])[0], expected, rtol=0, atol=1e-12)


def test_the_head_that_learns_five_times_as_fast_is_named_head():
    made = ActionNet({"rgb": 20}, width=32)
    assert {name for name, _ in made.named_parameters() if name.startswith("head.")} == {
        "head.0.weight",
        "head.0.bias",
        "head.3.weight",
        "head.3.bias",
    }
    assert recipe(model="action-net").head_lr_scale == 5.0


def test_linear_maps_start_without_a_bias_and_within_xaviers_bound():
    made = ActionNet({"rgb": 20}, width=32)
    for module in made.modules():
        if isinstance(module, nn.Linear):
            assert not module.bias.any()
            assert module.weight.abs().max() <= math.sqrt(6 / sum(module.weight.shape))
    assert made.head[0].weight.abs().max() > 0.95 * math.sqrt(6 / (16 + 128))


def test_three_streams_are_refused():
    with pytest.raises(ValueError, match="reads one or two streams, not a, b, c"):
        ActionNet({"a": 4, "b": 4, "c": 4})


def test_its_options_stand_in_space_files_under_its_name():
    assert (default_of("action-net.one_modality"), default_of("action-net.dropout")) == ("both", 0.5)
    with pytest.raises(ValueError, match="action-net.one_modality: 'bot' is not one of both, dropped; did you mean"):
        recipe(model="action-net", **{"action-net.one_modality": "bot"})
