"""Stacked layers against torch.nn on each network by itself."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pamfn.replicas.cut import cut, initialise
from pamfn.replicas.layers import Conv3, Linear, batched_linear, unfold3
from pamfn.replicas.norm import BatchNorm
from pamfn.replicas.segments import Segments

EXACT = {"rtol": 0, "atol": 1e-12}


def draw(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def drawn(module, seed=3):
    """Returns a float64 layer with random weights."""
    initialise(module.double(), range(seed, seed + 3))
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if isinstance(module, BatchNorm):
            tensor.data = draw(*tensor.shape, seed=len(name)) + (3.0 if name == "running_var" else 0.5)
    return module


def plain(layer, stacked, row):
    """Returns torch's layer with one row's weights, as they are cut out."""
    layer = layer.double()
    layer.load_state_dict(cut(stacked, row), strict=False)
    return layer


def test_a_linear_map_is_torchs_for_each_network():
    stacked, x = drawn(Linear(3, 5, 7)), draw(3, 2, 4, 5).requires_grad_()
    y, alone = stacked(x), x.detach().clone().requires_grad_()
    for row in range(3):
        torch.testing.assert_close(y[row], plain(nn.Linear(5, 7), stacked, row)(alone[row]), **EXACT)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_convolution_is_torchs_for_each_network_forward_and_backward(steps):
    stacked, x = drawn(Conv3(3, 5, 7)), draw(3, 2, steps, 5).requires_grad_()
    y, alone = stacked(x), x.detach().clone().requires_grad_()
    upstream = draw(*y.shape, seed=9)
    y.backward(upstream)
    for row in range(3):
        layer = plain(nn.Conv1d(5, 7, 3, padding=1), stacked, row)
        expected = layer(alone[row].transpose(1, 2)).transpose(1, 2)
        expected.backward(upstream[row])
        torch.testing.assert_close(y[row], expected, **EXACT)
        torch.testing.assert_close(stacked.weight.grad[row].transpose(1, 2), layer.weight.grad, **EXACT)
        torch.testing.assert_close(stacked.bias.grad[row], layer.bias.grad, **EXACT)
    torch.testing.assert_close(x.grad, alone.grad, **EXACT)


@pytest.mark.parametrize("needs", [(True, False, False), (False, True, True), (True, True, True)])
def test_the_convolutions_gradients_are_those_of_its_differences(needs):
    stacked = Conv3(2, 3, 2).double()
    inputs = [draw(2, 2, 4, 3), draw(2, 2, 3, 3, seed=1), draw(2, 2, seed=2)]
    inputs = [x.requires_grad_(need) for x, need in zip(inputs, needs, strict=True)]

    def convolve(x, weight, bias):
        return torch.func.functional_call(stacked, {"weight": weight, "bias": bias}, (x,))

    assert torch.autograd.gradcheck(convolve, inputs)


def test_a_convolution_of_zeros_is_its_bias_and_without_bias_zero():
    stacked = drawn(Conv3(3, 5, 7))
    zeros = torch.zeros(3, 2, 4, 5, dtype=torch.float64)
    assert torch.equal(stacked.of_zeros(4, 2), stacked(zeros))
    assert not stacked.without_bias(zeros).any()
    x = draw(3, 2, 4, 5)
    torch.testing.assert_close(stacked.without_bias(x) + stacked.bias[:, None, None], stacked(x), **EXACT)


def test_unfolding_puts_each_step_between_its_neighbours():
    x = torch.arange(1.0, 4.0).view(1, 1, 3, 1)
    assert unfold3(x)[0, 0].tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 0]]


def test_a_batched_product_keeps_every_dimension_between_row_and_feature():
    x, weight, bias = draw(2, 3, 4, 5), draw(2, 6, 5, seed=1), draw(2, 6, seed=2)
    expected = torch.einsum("rabi,roi->rabo", x, weight) + bias[:, None, None]
    torch.testing.assert_close(batched_linear(x, weight, bias), expected, **EXACT)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_is_torchs_for_each_network_forward_backward_and_statistics(training):
    stacked, x = drawn(BatchNorm(3, 5)).train(training), draw(3, 4, 6, 5).requires_grad_()
    layers = [plain(nn.BatchNorm1d(5), stacked, row).train(training) for row in range(3)]
    y, alone = stacked(x, Segments(6)), x.detach().clone().requires_grad_()
    upstream = draw(*y.shape, seed=9)
    y.backward(upstream)
    for row, layer in enumerate(layers):
        expected = layer(alone[row].reshape(-1, 5))
        expected.backward(upstream[row].reshape(-1, 5))
        torch.testing.assert_close(y[row].reshape(-1, 5), expected, **EXACT)
        torch.testing.assert_close(stacked.weight.grad[row], layer.weight.grad, **EXACT)
        torch.testing.assert_close(stacked.bias.grad[row], layer.bias.grad, **EXACT)
        torch.testing.assert_close(stacked.running_mean[row], layer.running_mean, **EXACT)
        torch.testing.assert_close(stacked.running_var[row], layer.running_var, **EXACT)
    torch.testing.assert_close(x.grad, alone.grad, **EXACT)


def test_batch_norm_with_a_mask_is_batch_norm_without_the_rows_it_hides():
    lengths = torch.tensor([[6, 2, 0, 3], [1, 0, 5, 6], [4, 4, 4, 0]])
    stacked, x = drawn(BatchNorm(3, 5)).train(), draw(3, 4, 6, 5).requires_grad_()
    layers = [plain(nn.BatchNorm1d(5), stacked, row).train() for row in range(3)]
    y, alone = stacked(x, Segments(6, lengths)), x.detach().clone().requires_grad_()
    upstream = draw(*y.shape, seed=9)
    y.backward(upstream)
    for row, layer in enumerate(layers):
        there = torch.arange(6) < lengths[row][:, None]
        expected = layer(alone[row][there])
        expected.backward(upstream[row][there])
        torch.testing.assert_close(y[row][there], expected, **EXACT)
        torch.testing.assert_close(stacked.weight.grad[row], layer.weight.grad, **EXACT)
        torch.testing.assert_close(stacked.bias.grad[row], layer.bias.grad, **EXACT)
        torch.testing.assert_close(stacked.running_mean[row], layer.running_mean, **EXACT)
        torch.testing.assert_close(stacked.running_var[row], layer.running_var, **EXACT)
    torch.testing.assert_close(x.grad, alone.grad, **EXACT)


@pytest.mark.parametrize("lengths", [None, [[3, 1], [2, 0]]])
def test_batch_norms_gradients_are_those_of_its_differences(lengths):
    stacked, x = drawn(BatchNorm(2, 2)).train(), draw(2, 2, 3, 2).requires_grad_()
    segments = Segments(3, None if lengths is None else torch.tensor(lengths))
    seen = torch.ones(2, 2, 3) if lengths is None else segments.mask_RBT()

    def normalise(x, weight, bias):
        # what a masked place comes out as is nobody's business, and its gradient is dropped
        y = torch.func.functional_call(stacked, {"weight": weight, "bias": bias}, (x, segments))
        return y * seen[..., None]

    assert torch.autograd.gradcheck(normalise, [x, stacked.weight, stacked.bias])


def test_a_mask_that_hides_nothing_changes_no_bit_of_batch_norm():
    x = draw(3, 4, 6, 5).float()
    outcomes = []
    for segments in (Segments(6), Segments(6, torch.full((3, 4), 6))):
        stacked = drawn(BatchNorm(3, 5)).float().train()
        mine = x.clone().requires_grad_()
        y = stacked(mine, segments)
        y.square().sum().backward()
        outcomes.append([y, mine.grad, stacked.weight.grad, stacked.running_mean, stacked.running_var])
    assert all(torch.equal(a, b) for a, b in zip(*outcomes, strict=True))


def test_a_row_without_segments_keeps_its_running_statistics_and_stays_finite():
    stacked, x = drawn(BatchNorm(3, 5)).train(), draw(3, 4, 6, 5).requires_grad_()
    mean, variance = stacked.running_mean[1].clone(), stacked.running_var[1].clone()
    y = stacked(x, Segments(6, torch.tensor([[6] * 4, [0] * 4, [6] * 4])))
    y.sum().backward()
    assert torch.equal(stacked.running_mean[1], mean)
    assert torch.equal(stacked.running_var[1], variance)
    assert y.isfinite().all()
    assert not x.grad[1].any()


def test_a_single_segment_normalises_to_the_bias_and_leaves_a_finite_variance():
    stacked = BatchNorm(1, 5).double().train()
    y = stacked(draw(1, 1, 1, 5), Segments(1))
    assert torch.equal(y, torch.zeros_like(y))
    assert torch.allclose(stacked.running_var, torch.full((1, 5), 0.9, dtype=torch.float64))


def test_an_offset_is_as_if_it_were_added_to_the_features():
    for training in (True, False):
        one, other = (drawn(BatchNorm(3, 5)).train(training) for _ in range(2))
        x, offset = draw(3, 4, 6, 5), draw(3, 5, seed=4)
        y = one(x, Segments(6), offset_RD=offset)
        torch.testing.assert_close(y, other(x + offset[:, None, None], Segments(6)), **EXACT)
        torch.testing.assert_close(one.running_mean, other.running_mean, **EXACT)


def test_zeros_with_an_offset_leave_training_as_exactly_the_bias():
    stacked = drawn(BatchNorm(3, 5)).float().train()
    y = stacked(torch.zeros(3, 32, 35, 5), Segments(35), offset_RD=torch.full((3, 5), 0.1))
    assert torch.equal(y, stacked.bias[:, None, None].expand_as(y))
