"""Linear maps as convolutions of one tap, against batched products."""

from __future__ import annotations

import math

import pytest
import torch

from pamfn.replicas.layers import batched_linear
from pamfn.replicas.products import WORTH_A_CALL, is_worth_chunks, product


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.mark.parametrize("places", [(3, 5), (4, 8), (20,), (2, 3, 16)])
@pytest.mark.parametrize(("inputs", "outputs"), [(32, 16), (5, 7), (96, 80)])
@pytest.mark.parametrize("biased", [True, False])
def test_a_product_is_the_batched_one_and_so_are_its_gradients(places, inputs, outputs, biased):
    outcomes = []
    for way in (product, batched_linear):  # float64, which batched_linear leaves to a batched product
        x, weight = draw(4, *places, inputs).requires_grad_(), draw(4, outputs, inputs, seed=1).requires_grad_()
        bias = draw(4, outputs, seed=2).requires_grad_() if biased else None
        y = way(x, weight, bias)
        y.backward(draw(*y.shape, seed=3))
        outcomes.append([y.detach(), x.grad, weight.grad, bias.grad if biased else y])
    for mine, plain in zip(*outcomes, strict=True):
        torch.testing.assert_close(mine, plain, rtol=0, atol=1e-11)


def test_only_large_float32_products_on_the_cpu_go_by_chunks():
    weight = torch.zeros(4, 32, 32)
    places = WORTH_A_CALL // (4 * 32 * 32)
    assert is_worth_chunks(torch.zeros(4, places, 32), weight)
    assert not is_worth_chunks(torch.zeros(4, places - 1, 32), weight)
    assert not is_worth_chunks(torch.zeros(4, places, 32, dtype=torch.float64), weight)
    assert not is_worth_chunks(torch.zeros(4, places, 32, device="meta"), weight)


@pytest.mark.parametrize(("inputs", "outputs"), [(96, 80), (48, 32), (40, 24)])
def test_a_row_of_a_product_is_the_same_to_the_last_bit_at_every_place_and_beside_a_nan(inputs, outputs):
    def run(order, spoilt=None):
        x, weight = draw(4, 10, 64, inputs, dtype=torch.float32)[order], draw(4, outputs, inputs, seed=1).float()[order]
        if spoilt is not None:
            x[order.index(spoilt)] = math.nan
        x.requires_grad_()
        weight.requires_grad_()
        bias = draw(4, outputs, seed=2).float()[order].requires_grad_()
        y = product(x, weight, bias)
        y.backward(draw(*y.shape, seed=3).float()[order])
        of = [y.detach(), x.grad, weight.grad, bias.grad]
        return [tensor[order.index(row)] for tensor in of for row in range(4) if row != spoilt]

    here = run([0, 1, 2, 3])
    assert all(torch.equal(a, b) for a, b in zip(here, run([2, 0, 3, 1]), strict=True))
    for spoilt in range(4):
        beside = [t for place, t in enumerate(here) if place % 4 != spoilt]
        assert all(torch.equal(a, b) for a, b in zip(beside, run([0, 1, 2, 3], spoilt), strict=True))
