"""Units and residual blocks computed chunk by chunk, against the same made of the stacked layers one by one."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from pamfn.model.blocks import ResidualBlock, activated
from pamfn.replicas import chunks
from pamfn.replicas.axis import FusionAxis
from pamfn.replicas.cut import initialise
from pamfn.replicas.layers import Conv3, Linear
from pamfn.replicas.norm import BatchNorm
from pamfn.replicas.segments import Segments
from pamfn.replicas.units import residual, unit

VIDEOS, ROWS = 3, 4
LENGTHS = {
    "full": lambda steps: Segments(steps),
    "absent": lambda steps: Segments(
        steps, torch.tensor([[steps] * 3, [steps, steps, 0], [0] * 3, [steps] * 3]), ragged=False
    ),
    "ragged": lambda steps: Segments(steps, torch.tensor([[steps, 1, 0], [steps] * 3, [0] * 3, [2, 1, steps]])),
}
EXACT = {"rtol": 0, "atol": 1e-11}


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def stirred(module, dtype=torch.float64):
    """Returns a module with random weights and statistics; every row has its own."""
    module.to(dtype)
    tensors = [*module.named_parameters(), *(b for b in module.named_buffers() if b[1].is_floating_point())]
    for place, (name, tensor) in enumerate(tensors):
        tensor.data = draw(*tensor.shape, seed=place, dtype=dtype) * 0.4 + (3.0 if name.endswith("var") else 0.1)
    return module


def block(width, dtype=torch.float64, axis=None, activation="gelu"):
    return stirred(ResidualBlock(ROWS, width, axis=axis, activation=activation), dtype)


def in_chunks(made, x, segments, *, pool=False):
    return residual([(made.conv1, made.norm1), (made.conv2, made.norm2)], x, segments, made.activation, pool=pool)


def outcome(module, run, x, seed=9):
    """Returns the output, the gradients of input and weights, and the running statistics of one training step."""
    x = x.detach().clone().requires_grad_()
    module.zero_grad()
    y = run(x)
    y.backward(draw(*y.shape, seed=seed, dtype=y.dtype))
    of = {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}
    return {"y": y.detach(), "x": x.grad, **of, **{n: b.clone() for n, b in module.named_buffers() if "running" in n}}


def assert_close(mine, other, **tolerance):
    assert mine.keys() == other.keys()
    for name, value in mine.items():
        torch.testing.assert_close(value, other[name], **tolerance, msg=lambda m, n=name: f"{n}: {m}")


def pair(kind, inputs, outputs):
    return torch.nn.ModuleDict(
        {"layer": {"linear": Linear, "conv": Conv3}[kind](ROWS, inputs, outputs), "norm": BatchNorm(ROWS, outputs)}
    )


@pytest.mark.parametrize("small_chunks", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("width", "steps"), [(8, 5), (32, 5), (16, 1)])
def test_a_residual_block_in_chunks_is_that_of_its_layers(width, steps, lengths, small_chunks, monkeypatch):
    if small_chunks:
        monkeypatch.setattr(chunks, "CHUNK_FLOATS", 2 * VIDEOS * steps * width)
    x, segments = draw(ROWS, VIDEOS, steps, width), LENGTHS[lengths](steps)
    for activation, pool in (("gelu", False), ("relu", False), ("gelu", True)):
        plain, chunked = (block(width, activation=activation) for _ in range(2))
        expected = outcome(plain, lambda x, m=plain, p=pool: m(x, segments, pool=p), x)
        mine = outcome(chunked, lambda x, m=chunked, p=pool: in_chunks(m, x, segments, pool=p), x)
        assert_close(mine, expected, **EXACT)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("kind", ["linear", "conv"])
@pytest.mark.parametrize(("inputs", "outputs", "steps"), [(5, 7, 4), (96, 32, 4), (96, 32, 1)])
def test_a_unit_in_chunks_is_its_layer_its_norm_and_its_activation(kind, inputs, outputs, steps, lengths):
    x, segments = draw(ROWS, VIDEOS, steps, inputs), LENGTHS[lengths](steps)
    plain, chunked = (stirred(pair(kind, inputs, outputs)) for _ in range(2))
    expected = outcome(plain, lambda x: activated(plain["layer"], plain["norm"], x, segments, "relu"), x)
    mine = outcome(chunked, lambda x: unit(chunked["layer"], chunked["norm"], x, segments, "relu"), x)
    assert_close(mine, expected, **EXACT)


@pytest.mark.parametrize("lengths", LENGTHS)
def test_the_blocks_gradients_are_those_of_its_differences(lengths):
    made, x, segments = block(2), draw(ROWS, VIDEOS, 3, 2).requires_grad_(), LENGTHS[lengths](3)
    there = segments.mask_RBT(torch.float64) if lengths != "full" else torch.ones(ROWS, VIDEOS, 3)

    def run(x, *weights):
        names = [name for name, _ in made.named_parameters() if not name.startswith("conv") or "weight" in name]
        for name, weight in zip(names, weights, strict=True):
            owner, own = name.split(".")
            made._modules[owner]._parameters[own] = weight
        return in_chunks(made, x, segments) * there[..., None]

    weights = [p for name, p in made.named_parameters() if not name.startswith("conv") or "weight" in name]
    assert torch.autograd.gradcheck(run, [x * there[..., None], *weights])


@pytest.mark.parametrize("lengths", LENGTHS)
def test_evaluation_folds_the_running_statistics_into_the_layers(lengths):
    x, segments = draw(ROWS, VIDEOS, 6, 32), LENGTHS[lengths](6)
    made, single = block(32).eval(), stirred(pair("conv", 32, 16)).eval()
    expected = [made(x, segments, pool=pool) for pool in (False, True)]
    expected.append(activated(single["layer"], single["norm"], x, segments, "relu"))
    with torch.no_grad():
        mine = [in_chunks(made, x, segments, pool=pool) for pool in (False, True)]
        mine.append(unit(single["layer"], single["norm"], x, segments, "relu"))
    for a, b in zip(mine, expected, strict=True):
        torch.testing.assert_close(a, b, **EXACT)


def test_what_is_computed_in_chunks_is_float32_on_the_cpu_unless_evaluation_needs_a_gradient():
    x = torch.zeros(1)
    assert chunks.goes_by_chunks(x, training=True)
    assert not chunks.goes_by_chunks(x.double(), training=True)
    assert not chunks.goes_by_chunks(x.to("meta"), training=True)
    assert not chunks.goes_by_chunks(x, training=False)
    with torch.no_grad():
        assert chunks.goes_by_chunks(x, training=False)


@pytest.mark.parametrize("lengths", LENGTHS)
def test_a_float32_block_goes_by_chunks_and_differs_from_its_layers_by_rounding(lengths, monkeypatch):
    x, segments = draw(ROWS, VIDEOS, 20, 32, dtype=torch.float32), LENGTHS[lengths](20)
    made = [block(32, torch.float32) for _ in range(2)]
    fast = outcome(made[0], lambda x: made[0](x, segments), x)
    monkeypatch.setattr("pamfn.model.blocks.goes_by_chunks", lambda x, *, training: False)
    slow = outcome(made[1], lambda x: made[1](x, segments), x)
    assert not torch.equal(fast["x"], slow["x"]), "both went the same way"
    assert_close(fast, slow, rtol=1e-4, atol=1e-4)  # sums of up to 60 products of order 1


def test_fusion_nets_take_the_segments_of_their_replica():
    axis = FusionAxis([3, 1])
    segments = Segments(6, torch.tensor([[6, 2, 0], [1, 6, 6]]))
    spread = Segments(6, segments.lengths_RB.repeat_interleave(torch.tensor([3, 1]), dim=0))
    x = draw(ROWS, VIDEOS, 6, 8)
    made, other = block(8, axis=axis), block(8)
    expected = outcome(other, lambda x: in_chunks(other, x, spread), x)
    assert_close(outcome(made, lambda x: in_chunks(made, x, segments), x), expected, rtol=0, atol=0)


@pytest.mark.parametrize("rows", [1, 6, 7, 80])
@pytest.mark.parametrize("widths", [(8, 8), (16, 16), (32, 32), (96, 32), (256, 256), (24, 40)])
def test_chunks_are_equal_slices_of_all_rows(rows, widths):
    made = chunks.chunks(rows, 32, 70, *widths)
    assert [row for part in made for row in range(rows)[part]] == list(range(rows))
    assert len({part.stop - part.start for part in made}) == 1
    size = made[0].stop - made[0].start
    assert size == 1 or size * max(widths) * 32 * 70 <= chunks.CHUNK_FLOATS


def test_narrow_networks_share_a_chunk_and_odd_widths_do_not():
    assert len(chunks.chunks(10, 32, 17, 32, 32)) == 1
    assert len(chunks.chunks(10, 32, 17, 24, 24)) == 10


@pytest.mark.parametrize("lengths", ["full", "ragged"])
@pytest.mark.parametrize(("width", "steps"), [(8, 7), (16, 7), (32, 7), (48, 9), (64, 1)])
def test_a_row_is_the_same_to_the_last_bit_at_every_place_and_beside_a_nan(width, steps, lengths):
    def run(order, spoilt=None):
        made = block(width, torch.float32)
        for tensor in [*made.parameters(), *made.buffers()]:
            tensor.data = tensor.data[order].clone()
        x = draw(ROWS, VIDEOS, steps, width, dtype=torch.float32)[order]
        lengths_RB = torch.tensor([[steps, 1, 0], [steps] * 3, [steps] * 3, [1, 1, steps]])[order]
        segments = Segments(steps) if lengths == "full" else Segments(steps, lengths_RB)
        if spoilt is not None:
            x[order.index(spoilt)] = math.nan
        x.requires_grad_()
        y = in_chunks(made, x, segments)
        (y * draw(ROWS, VIDEOS, steps, width, seed=4, dtype=torch.float32)[order]).sum().backward()
        of = [y.detach(), x.grad, *(b for _, b in made.named_buffers())]
        of += [p.grad for name, p in made.named_parameters() if p.grad is not None]
        return [tensor[order.index(row)] for tensor in of for row in range(ROWS) if row != spoilt]

    here = run([0, 1, 2, 3])
    for order in ([3, 2, 1, 0], [1, 3, 0, 2]):
        assert all(torch.equal(a, b) for a, b in zip(here, run(order), strict=True))
    for spoilt in range(ROWS):
        beside = [t for place, t in enumerate(here) if place % ROWS != spoilt]
        assert all(torch.equal(a, b) for a, b in zip(beside, run([0, 1, 2, 3], spoilt), strict=True))


def test_a_mask_that_hides_nothing_changes_no_bit_of_a_block():
    x = draw(ROWS, VIDEOS, 6, 32, dtype=torch.float32)
    full = torch.full((ROWS, VIDEOS), 6)
    outcomes = []
    for segments in (Segments(6), Segments(6, full), Segments(6, full, ragged=False)):
        made = block(32, torch.float32)
        outcomes.append(outcome(made, lambda x, m=made, s=segments: in_chunks(m, x, s), x))
    for other in outcomes[1:]:
        assert_close(outcomes[0], other, rtol=0, atol=0)


def test_a_row_of_a_chunks_convolution_is_torchs_own():
    layer = Conv3(ROWS, 32, 16)
    initialise(layer, range(ROWS))
    x = draw(ROWS, VIDEOS, 9, 32, dtype=torch.float32)
    y = chunks.apart(chunks.convolve(chunks.beside(x), layer.kernel(9)), ROWS)
    for row in range(ROWS):
        expected = functional.conv1d(x[row].transpose(1, 2), layer.weight[row].transpose(1, 2), padding=1)
        torch.testing.assert_close(y[row], expected.transpose(1, 2), rtol=1e-4, atol=1e-5)
