"""UMT: what it consists of, streams that hear of each other through tokens, and queries."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pamfn.architectures import build_network
from pamfn.baselines.umt import Bottleneck, QueryGenerator, UnifiedTransformer, positions
from pamfn.recipe import default_of, recipe

TWO = {"rgb": 6, "audio": 5}


def randn(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def network(**changes: Any) -> UnifiedTransformer:
    torch.manual_seed(3)
    return UnifiedTransformer(TWO, **{"width": 8, "head_dropout": 0.0, "heads": 2, **changes}).double()


def bottleneck(**changes: Any) -> Bottleneck:
    torch.manual_seed(3)
    made = Bottleneck(8, **{"tokens": 4, "heads": 1, "hidden": 16, "dropout": 0.1, **changes}).double().eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, dtype=torch.float64)
    return made


def attended(made: nn.MultiheadAttention, query_TD: Tensor, read_SD: Tensor) -> Tensor:
    """Returns what attention of one head reads, by its formula."""
    (wq, wk, wv), (bq, bk, bv) = made.in_proj_weight.chunk(3), made.in_proj_bias.chunk(3)
    like_TS = (query_TD @ wq.T + bq) @ (read_SD @ wk.T + bk).T / math.sqrt(query_TD.shape[-1])
    shares_TS = like_TS.exp() / like_TS.exp().sum(1, keepdim=True)
    return (shares_TS @ (read_SD @ wv.T + bv)) @ made.out_proj.weight.T + made.out_proj.bias


def numbers(made: nn.Module) -> int:
    return sum(parameter.numel() for parameter in made.parameters())


def test_it_has_nearly_the_published_number_of_parameters():
    paper, widths = recipe(model="umt"), {"rgb": 1024, "audio": 768}
    assert numbers(build_network(paper, widths, [1])) == 3_888_129
    assert numbers(UnifiedTransformer(widths, width=256, head_dropout=0.0, feed_forward=4)) == 5_201_409


def test_tokens_add_what_they_read_of_each_stream():
    made, streams = bottleneck(), [randn(1, 5, 8), randn(1, 5, 8, seed=2)]
    query = made.token_norm(made.tokens_KD)
    expected = made.tokens_KD + sum(attended(fill, query, of[0]) for fill, of in zip(made.fills, streams, strict=True))
    torch.testing.assert_close(made.filled(streams)[0], expected)


def test_streams_add_what_they_read_of_the_tokens():
    made, streams = bottleneck(), [randn(1, 5, 8), randn(1, 5, 8, seed=2)]
    normed = [norm(of) for norm, of in zip(made.stream_norms, streams, strict=True)]
    tokens_KD = made.filled_norm(made.filled(normed))[0]
    for index, y_BTD in enumerate(made(streams)):
        read_TD = streams[index][0] + attended(made.reads[index], normed[index][0], tokens_KD)
        norm, first, _, _, second, _ = made.feed_forwards[index]
        expected_TD = read_TD + second(torch.relu(first(norm(read_TD))))
        torch.testing.assert_close(y_BTD[0], expected_TD)


def test_from_a_lone_token_every_segment_reads_the_same():
    made, streams = bottleneck(tokens=1), [randn(2, 5, 8), randn(2, 5, 8, seed=2)]
    read = []
    made.reads[0].register_forward_hook(lambda _, __, given: read.append(given[0]))
    made(streams)
    (read_BTD,) = read
    torch.testing.assert_close(read_BTD, read_BTD[:, :1].expand_as(read_BTD))
    assert not torch.allclose(read_BTD[0], read_BTD[1])


def test_streams_hear_of_each_other_through_the_tokens_alone():
    made, mine, theirs = bottleneck(), randn(2, 5, 8), randn(2, 5, 8, seed=2)
    other = randn(2, 7, 8, seed=4)
    assert not torch.allclose(made([mine, theirs])[0], made([mine, other])[0])
    with torch.no_grad():  # the tokens no longer read the second stream
        made.fills[1].out_proj.weight.zero_()
    torch.testing.assert_close(made([mine, theirs])[0], made([mine, other])[0])


def test_without_a_text_the_joint_features_ask_for_themselves():
    made, asked = network().eval(), []
    made.decoder[0].register_forward_hook(lambda _, given, __: asked.extend(given))
    made({stream: randn(2, 3, width) for stream, width in TWO.items()})
    query_BTD, memory_BTD = asked
    assert torch.equal(query_BTD, memory_BTD)


def test_learned_queries_are_means_of_what_the_tokens_say():
    torch.manual_seed(3)
    made, x_BTD = QueryGenerator(8, tokens=3, heads=1, dropout=0.0).double(), randn(2, 5, 8)
    for b in range(2):
        torch.testing.assert_close(made(x_BTD)[b], attended(made.attention, x_BTD[b], made.tokens_KD))
    assert isinstance(network(queries="learned").generator, QueryGenerator)


def test_a_score_is_a_sigmoid_of_the_decoded_queries_mean():
    made, decoded = network(layers=2).eval(), []
    made.decoded_norm.register_forward_hook(lambda _, __, y: decoded.append(y))
    score_B = made({stream: randn(3, 4, width) for stream, width in TWO.items()}).score_B
    mean_BD = decoded[0].sum(1) / 4
    torch.testing.assert_close(score_B, torch.sigmoid(mean_BD @ made.score.weight[0] + made.score.bias))


def test_positions_are_sinusoids_of_the_step():
    expected = [[math.sin(t), math.cos(t), math.sin(t / 100), math.cos(t / 100)] for t in range(3)]
    torch.testing.assert_close(positions(torch.zeros(1, 3, 4)), torch.tensor(expected))
    assert positions(torch.zeros(2, 6000, 5)).shape == (6000, 5)


def test_it_knows_the_order_of_segments():
    made = network().eval()
    x = {stream: randn(2, 7, width) for stream, width in TWO.items()}
    turned = {stream: of.flip(1) for stream, of in x.items()}
    assert (made(turned).score_B - made(x).score_B).abs().min() > 1e-6


def test_layers_of_the_decoder_start_from_weights_of_their_own():
    first, second = network(layers=2).decoder
    assert not torch.equal(first.linear1.weight, second.linear1.weight)


@pytest.mark.parametrize("streams", [{"rgb": 6}, {"rgb": 6, "flow": 6, "audio": 5}])
def test_other_than_two_streams_are_refused(streams):
    with pytest.raises(ValueError, match=f"inputs: .*{len(streams)} streams, and UMT reads two"):
        UnifiedTransformer(streams, width=8, head_dropout=0.0)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="heads: 8 does not divide width 4"):
        build_network(recipe(model="umt", width=4), TWO, [1])


def test_its_options_stand_in_space_files_under_its_name():
    names = ("heads", "tokens", "layers", "feed_forward", "queries", "input_dropout", "dropout")
    assert [default_of(f"umt.{name}") for name in names] == [8, 4, 1, 2, "joint", 0.5, 0.1]
    with pytest.raises(ValueError, match="umt.tokens: 0 is outside 1 to 64"):
        recipe(model="umt", **{"umt.tokens": 0})
