"""The branch of plain torch: PAMFN's own, for one network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pamfn.baselines.plain_branch import BatchNorm, PlainBranch
from pamfn.model.branches import Branch
from pamfn.replicas.cut import cut, initialise
from pamfn.replicas.segments import Segments


def stacked_and_plain(stages: int) -> tuple[Branch, PlainBranch]:
    """Returns PAMFN's branch of one replica, with statistics that hide nothing, and the plain one with its weights."""
    stacked = Branch(1, "rgb", 6, width=8, stages=stages, embedding_dropout=0.3, head_dropout=0.0).double()
    initialise(stacked, [3])
    draws = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in [*stacked.named_parameters(), *stacked.named_buffers()]:
            if "norm" in name:
                tensor.uniform_(0.5, 1.5, generator=draws)
    plain = PlainBranch(6, width=8, stages=stages, embedding_dropout=0.3).double()
    state = {name: of for name, of in cut(stacked, 0).items() if not name.startswith("head.")}
    missing, unexpected = plain.load_state_dict(state, strict=False)
    assert unexpected == []
    assert all(name.endswith("num_batches_tracked") for name in missing)
    return stacked, plain


def clips(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("steps", [1, 3, 4, 7, 14])
@pytest.mark.parametrize("stages", [2, 3])
def test_it_gives_the_feature_maps_of_pamfns_branch(stages, steps):
    stacked, plain = stacked_and_plain(stages)
    x_BTI = clips(5, steps, 6)
    expected = stacked.eval().features(x_BTI[None], Segments(steps), None)
    maps = plain.eval()(x_BTI)
    assert len(maps) == len(expected) == stages + 1
    for mine, theirs in zip(maps, expected, strict=True):
        torch.testing.assert_close(mine, theirs[0], rtol=0, atol=1e-10)


def test_it_learns_and_remembers_what_pamfns_branch_does():
    stacked, plain = stacked_and_plain(3)
    plain.embedding.dropout.p = 0.0  # PAMFN's has no dropout where it gets no noise
    x_BTI = clips(4, 9, 6)
    stacked.train().features(x_BTI[None], Segments(9), None)[-1].square().sum().backward()
    plain.train()(x_BTI)[-1].square().sum().backward()
    theirs = dict(stacked.named_parameters())
    for name, parameter in plain.named_parameters():
        of = theirs[name].grad
        if of is None:  # a bias that batch norm takes away again
            expected = torch.zeros_like(parameter)
        else:
            expected = of[0].movedim(-2, -1) if parameter.ndim == 3 else of[0]
        torch.testing.assert_close(parameter.grad, expected, rtol=0, atol=1e-9, msg=name)
    buffers = dict(stacked.named_buffers())
    for name, buffer in plain.named_buffers():
        if buffer.is_floating_point():
            torch.testing.assert_close(buffer, buffers[name][0], rtol=0, atol=1e-10, msg=name)


def test_three_branches_with_their_heads_have_the_published_number_of_parameters():
    count = 0
    for inputs in (1024, 1024, 768):
        made = PlainBranch(inputs, width=256, stages=3, embedding_dropout=0.3)
        count += sum(parameter.numel() for parameter in made.parameters()) + 257
    assert count == 5_395_459


def test_stages_one_by_one_are_the_whole():
    _, plain = stacked_and_plain(3)
    maps = plain.eval()(clips(2, 9, 6))
    x_BTD = plain.embed(clips(2, 9, 6))
    for index, expected in enumerate(maps[1:]):
        x_BTD = plain.stage(index, x_BTD)
        assert torch.equal(x_BTD, expected)
    assert [of.shape[1] for of in maps] == [9, 4, 2, 1]


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1)])
def test_a_lone_value_is_its_own_mean(shape):
    norm = BatchNorm(3)
    nn.init.uniform_(norm.bias)
    x = torch.arange(3.0).view(shape)
    y = norm(x)
    assert y.shape == shape
    assert torch.equal(y.view(3), norm.bias)
    torch.testing.assert_close(norm.running_mean, 0.1 * torch.arange(3.0))
    torch.testing.assert_close(norm.running_var, torch.full((3,), 0.9))


@pytest.mark.parametrize("shape", [(2, 3), (1, 3, 2), (2, 3, 1)])
def test_more_values_than_one_are_normalised_as_torch_does(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(4))
    assert torch.equal(BatchNorm(3)(x), nn.BatchNorm1d(3)(x))
