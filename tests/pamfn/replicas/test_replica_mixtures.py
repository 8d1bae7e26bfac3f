"""Weighted sums of feature maps, in parts and in the plain way."""

from __future__ import annotations

import math

import pytest
import torch

from pamfn.replicas import mixtures as parts
from pamfn.replicas.mixtures import mixtures


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def both(monkeypatch, maps, weights):
    """Returns the sums and all gradients, in parts and plain."""
    outcomes = []
    for by_parts in (True, False):
        monkeypatch.setattr(parts, "goes_by_chunks", lambda x, *, training, answer=by_parts: answer)
        inputs = [x.detach().clone().requires_grad_(x.requires_grad) for x in (*maps, weights)]
        y = mixtures(inputs[:-1], inputs[-1])
        y.backward(draw(*y.shape, seed=9, dtype=y.dtype))
        outcomes.append([y.detach(), *(x.grad for x in inputs)])
    return zip(*outcomes, strict=True)


@pytest.mark.parametrize("part", [1, 60, 10**6])
@pytest.mark.parametrize("needed", [(True, True, True), (False, False, True), (False, False, False)])
def test_sums_in_parts_are_the_sums_and_so_are_their_gradients(part, needed, monkeypatch):
    monkeypatch.setattr(parts, "CHUNK_FLOATS", part)
    maps = [draw(2, 3, 4, 5, seed=m).requires_grad_(need) for m, need in enumerate(needed)]
    weights = draw(2, 3, 3, 4, 3, seed=7).requires_grad_()
    for mine, plain in both(monkeypatch, maps, weights):
        assert (mine is None) == (plain is None)
        if mine is not None:
            torch.testing.assert_close(mine, plain, rtol=0, atol=1e-12)


def test_a_single_map_is_scaled(monkeypatch):
    x, weights = draw(1, 2, 3, 4), draw(1, 5, 2, 3, 1, seed=1)
    for by_parts in (True, False):
        monkeypatch.setattr(parts, "goes_by_chunks", lambda x, *, training, answer=by_parts: answer)
        torch.testing.assert_close(mixtures([x], weights), x[:, None] * weights, rtol=0, atol=0)


def test_a_nan_stays_in_its_replica():
    maps = [draw(3, 2, 4, 16, seed=m, dtype=torch.float32) for m in range(2)]
    weights = draw(3, 5, 2, 4, 2, seed=5, dtype=torch.float32)
    clean = mixtures(maps, weights)
    maps[1][1] = math.nan
    ill = mixtures(maps, weights)
    assert ill[1].isnan().all()
    assert torch.equal(ill[[0, 2]], clean[[0, 2]])
