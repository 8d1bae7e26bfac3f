"""Joint-VA: what it consists of, and attention that can go nowhere."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pamfn.architectures import build_network
from pamfn.baselines.joint_va import JointVA, SentinelAttention
from pamfn.recipe import default_of, recipe

DROPOUT = {"embedding_dropout": 0.0, "attention_dropout": 0.0, "head_dropout": 0.0}
TWO = {"rgb": 6, "audio": 5}


def randn(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def attention(width: int = 4) -> SentinelAttention:
    """Returns attention whose queries are the features and whose keys are the features' negatives."""
    made = SentinelAttention(width, heads=1, dropout=0.0).double()
    one = torch.eye(width, dtype=torch.float64)
    with torch.no_grad():
        made.attention.in_proj_weight.copy_(torch.cat([one, -one, one]))
    return made


def test_it_has_nearly_the_published_number_of_parameters():
    network = build_network(recipe(model="joint-va"), {"rgb": 1024, "audio": 768}, [1])
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_973_249


def test_where_every_key_is_repelled_nothing_is_read():
    x_BSD = 20 + randn(2, 5, 4).abs()  # a query times a key is below -20 * 20
    read_BTD, weights_BTS = attention()(x_BSD, x_BSD)
    torch.testing.assert_close(weights_BTS[..., -1], torch.ones(2, 5, dtype=torch.float64))
    assert not weights_BTS[..., :-1].any()
    assert not read_BTD.any()


def test_where_every_key_is_liked_nothing_goes_to_the_sentinel():
    x_BSD = 20 + randn(2, 5, 4).abs()
    read_BTD, weights_BTS = attention()(-x_BSD, x_BSD)
    assert not weights_BTS[..., -1].any()
    assert read_BTD.any()


def test_a_sentinel_that_is_liked_takes_the_attention():
    made, x_BSD = attention(), randn(2, 5, 4)
    shares = []
    for size in (0.0, 1.0, 100.0):
        torch.nn.init.constant_(made.sentinel, -size)  # its key is its negative
        shares.append(made(torch.ones_like(x_BSD), x_BSD)[1][..., -1])
    assert (shares[0] < shares[1]).all()
    torch.testing.assert_close(shares[2], torch.ones_like(shares[2]))


def test_attention_is_a_softmax_over_keys_and_sentinel_whose_value_is_zero():
    torch.manual_seed(3)
    made = SentinelAttention(4, heads=1, dropout=0.0).double()
    torch.nn.init.normal_(made.sentinel)
    query_BTD, read_BSD = randn(1, 2, 4), randn(1, 3, 4, seed=2)
    wq, wk, wv = made.attention.in_proj_weight.chunk(3)
    found, weights = made(query_BTD, read_BSD)
    for t in range(2):
        keys = [wk @ read_BSD[0, s] for s in range(3)] + [wk @ made.sentinel]
        likes = [math.exp(((wq @ query_BTD[0, t]) @ key).item() / 2) for key in keys]
        values = [wv @ read_BSD[0, s] for s in range(3)]
        mean = sum(like / sum(likes) * value for like, value in zip(likes, values, strict=False))
        torch.testing.assert_close(found[0, t], made.attention.out_proj.weight @ mean)
        torch.testing.assert_close(weights[0, t], torch.tensor(likes, dtype=torch.float64) / sum(likes))


@pytest.mark.parametrize(("reads", "read"), [("both", ("rgb", "audio")), ("other", ("audio",))])
def test_a_stream_asks_what_both_or_the_other_say(reads, read):
    made = JointVA(TWO, width=8, reads=reads, **DROPOUT).double().eval()
    x, asked = {"rgb": randn(2, 3, 6), "audio": randn(2, 3, 5)}, []
    made.attentions["rgb"].register_forward_hook(lambda _, given, __: asked.extend(given))
    made(x)
    embedded = {stream: made.embeddings[stream](x[stream]) for stream in x}
    query_BTD, read_BSD = asked
    assert torch.equal(query_BTD, embedded["rgb"])
    assert torch.equal(read_BSD, torch.cat([embedded[stream] for stream in read], dim=1))


def test_where_nothing_is_read_a_video_is_scored_by_its_streams_alone():
    made = JointVA(TWO, width=8, **DROPOUT).double().eval()
    x = {"rgb": randn(2, 3, 6), "audio": randn(2, 3, 5)}
    with torch.no_grad():
        for of in made.attentions.values():
            of.attention.in_proj_weight[16:].zero_()
    sides = [made.norms[stream](made.embeddings[stream](x[stream])).mean(1) for stream in TWO]
    score_B = torch.sigmoid(made.score(torch.relu(made.hidden(torch.cat(sides, dim=1)))))[:, 0]
    torch.testing.assert_close(made(x).score_B, score_B)


def test_it_knows_no_order_of_segments():
    made = JointVA(TWO, width=8, **DROPOUT).double().eval()
    x = {"rgb": randn(2, 7, 6), "audio": randn(2, 7, 5)}
    turned = {stream: of.flip(1) for stream, of in x.items()}
    torch.testing.assert_close(made(turned).score_B, made(x).score_B)


@pytest.mark.parametrize("streams", [{"rgb": 6}, {"rgb": 6, "flow": 6, "audio": 5}])
def test_other_than_two_streams_are_refused(streams):
    with pytest.raises(ValueError, match=f"inputs: .*{len(streams)} streams, and Joint-VA reads two"):
        JointVA(streams, width=8, **DROPOUT)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="heads: 3 does not divide width 8"):
        JointVA(TWO, width=8, heads=3, **DROPOUT)


def test_its_options_stand_in_space_files_under_its_name():
    assert [default_of(f"joint-va.{name}") for name in ("heads", "reads", "hidden")] == [1, "both", 2]
    with pytest.raises(ValueError, match="joint-va.reads: 'bth' is not one of both, other; did you mean 'both'"):
        recipe(model="joint-va", **{"joint-va.reads": "bth"})
