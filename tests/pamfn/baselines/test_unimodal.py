"""One modality's branch as a network of its own."""

from __future__ import annotations

import math

import pytest
import torch
from stacked_networks import WIDTHS, Trained, clips, stirred

from pamfn.architectures import build_network
from pamfn.baselines.unimodal import Unimodal
from pamfn.model.network import build_branch
from pamfn.recipe import recipe
from pamfn.replicas.cut import cut, put
from pamfn.replicas.noise import Noise
from pamfn.replicas.segments import Segments

SMALL = {"width": 8}
LENGTHS = (9, 4, 14, 1, 11)


def build(seeds):
    return Unimodal(recipe(**SMALL), {"flow": WIDTHS["flow"]}, seeds)


def test_it_scores_as_the_branch_does():
    made = stirred(build([1, 2]))
    branch = build_branch(recipe(**SMALL), "flow", WIDTHS["flow"], 2).double()
    branch.load_state_dict(made.branches["flow"].state_dict())
    x, segments = clips([3, 4], LENGTHS)
    for training, noise in ((True, Noise([3, 4], [6, 6])), (False, None)):
        expected = branch.train(training)(x, segments, noise).score_RB
        assert torch.equal(made.train(training)(x, segments, noise).score_RB, expected)
    assert expected.std(dim=1).min() > 1e-3


@pytest.mark.parametrize(("inputs", "count"), [(1024, 1_842_177), (768, 1_711_105)])
def test_it_has_a_branchs_published_number_of_parameters(inputs, count):
    assert sum(p.numel() for p in Unimodal(recipe(), {"rgb": inputs}, [0]).parameters()) == count


def test_all_of_it_learns_with_its_score():
    made = stirred(build([1, 2])).train()
    made.fix([])
    made(*clips([3, 4], LENGTHS), Noise([3, 4], [6, 6])).score_RB.square().sum().backward()
    assert all(p.requires_grad for p in made.parameters())
    idle = {n for n, p in made.named_parameters() if p.grad is None or not p.grad.flatten(1).any(1).all()}
    hidden = ("linear1.bias", "linear2.bias", "conv1.bias", "conv2.bias")  # by the norms behind them
    assert idle == {n for n, _ in made.named_parameters() if n.endswith(hidden)}


def test_a_replica_trains_the_same_in_any_company_and_a_nan_stays_in_its_own():
    def spoil(network):
        network.branches["flow"].head.score.weight.data[1] = math.nan

    company, other, ill = Trained(build, [5, 6, 7]), Trained(build, [8, 9, 5]), Trained(build, [5, 6, 7], spoil=spoil)
    assert company.curve(0) == other.curve(2) == ill.curve(0)
    assert company.curve(2) == ill.curve(2)
    assert all(math.isnan(loss) for loss in ill.curve(1))
    exact = torch.float64
    together, alone = Trained(build, [5, 6, 7], dtype=exact), Trained(build, [6], dtype=exact)
    assert together.curve(1) == pytest.approx(alone.curve(0), abs=1e-9)


def test_neither_order_nor_padding_changes_a_score():
    made = stirred(build([1, 2])).eval()
    x, segments = clips([3, 4], LENGTHS)
    together = made(x, segments, None).score_RB
    for video, length in enumerate(LENGTHS):
        alone = made({"flow": x["flow"][:, [video], :length]}, Segments(length), None).score_RB
        torch.testing.assert_close(alone[:, 0], together[:, video], rtol=0, atol=1e-12)


def test_a_replica_cut_out_and_put_in_scores_as_it_did():
    one, other = stirred(build([1, 2])).eval(), stirred(build([7, 8, 9]), 3).eval()
    put(other, 2, cut(one, 0))
    x, segments = clips([3, 4], LENGTHS)
    y, three = clips([1, 2, 3], LENGTHS)
    torch.testing.assert_close(other(y, three, None).score_RB[2], one(x, segments, None).score_RB[0])


def test_it_classifies_segments_where_the_task_is_highlights():
    made = Unimodal(recipe("highlights", **SMALL), {"audio": 4}, [1, 2])
    output = made.train()(*clips([3, 4], LENGTHS, dtype=torch.float32), Noise([3, 4], [6, 6]))
    assert output.logits_RBT.shape == (2, 5, 14)


def test_the_catalogue_builds_it_of_the_stream_that_its_name_says():
    made = build_network(recipe(**SMALL, model="branch:audio"), {"audio": 4}, [1])
    assert isinstance(made, Unimodal)
    assert list(made.branches) == ["audio"]


def test_more_streams_than_one_are_refused():
    with pytest.raises(ValueError, match="modalities: rgb, flow: a branch alone reads one, not 2"):
        Unimodal(recipe(**SMALL), {"rgb": 4, "flow": 4}, [1])


def test_a_branch_that_is_elsewhere_is_refused():
    with pytest.raises(ValueError, match="without: rgb: a branch alone cannot be elsewhere"):
        Unimodal(recipe(**SMALL), {"rgb": 4}, [1], without=["rgb"])
