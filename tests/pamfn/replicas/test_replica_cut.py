"""One replica as a state dict of plain shapes: cut out, put back, drawn afresh."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from pamfn.replicas.axis import FusionAxis
from pamfn.replicas.cut import cut, initialise, put
from pamfn.replicas.layers import Conv3, Linear
from pamfn.replicas.norm import BatchNorm
from pamfn.replicas.pack import Pack


class Stack(nn.Module):
    """One of every kind of layer, over replicas and over FusionNets."""

    def __init__(self, counts):
        super().__init__()
        self.fusion_axis = axis = FusionAxis(counts)
        rows = len(counts)
        self.linear, self.conv, self.norm = Linear(rows, 3, 4), Conv3(rows, 3, 4), BatchNorm(rows, 4)
        self.net_conv, self.net_norm = Conv3(axis.total, 3, 4, axis=axis), BatchNorm(axis.total, 4, axis=axis)
        self.net_linear = Linear(axis.total, 3, 4, axis=axis)
        self.tau = nn.Parameter(torch.arange(rows) + 1.0)


def stack(counts=(2, 3, 1), seeds=(7, 8, 9)):
    made = Stack(counts)
    initialise(made, seeds)
    return made


def test_a_replica_cut_out_has_plain_shapes_and_nets_their_own_leading_axis():
    assert {name: tuple(value.shape) for name, value in cut(stack(), 1).items()} == {
        "tau": (),
        "linear.weight": (4, 3),
        "linear.bias": (4,),
        "conv.weight": (4, 3, 3),
        "conv.bias": (4,),
        **{f"norm.{name}": (4,) for name in ("weight", "bias", "running_mean", "running_var")},
        "net_conv.weight": (3, 4, 3, 3),
        "net_conv.bias": (3, 4),
        **{f"net_norm.{name}": (3, 4) for name in ("weight", "bias", "running_mean", "running_var")},
        "net_linear.weight": (3, 4, 3),
        "net_linear.bias": (3, 4),
    }


def test_a_convolution_cut_out_is_torchs():
    state = cut(stack(), 2)
    plain = nn.Conv1d(3, 4, 3)
    plain.load_state_dict({"weight": state["conv.weight"], "bias": state["conv.bias"]})
    assert torch.equal(plain.weight, stack().conv.weight[2].transpose(1, 2))
    assert state["conv.weight"].is_contiguous()


def test_a_cut_is_a_copy():
    made = stack()
    state = cut(made, 0)
    made.linear.weight.data.zero_()
    assert state["linear.weight"].any()


def test_put_back_in_another_place_a_replica_is_the_same_and_its_neighbours_untouched():
    made, source = stack((2, 2, 2)), stack((2, 2, 2), (1, 2, 3))
    neighbours = [cut(made, r) for r in (0, 2)]
    put(made, 1, cut(source, 2))
    for name, value in cut(made, 1).items():
        assert torch.equal(value, cut(source, 2)[name]), name
    for r, before in zip((0, 2), neighbours, strict=True):
        assert all(torch.equal(value, before[name]) for name, value in cut(made, r).items())


def test_a_replica_goes_from_one_capacity_into_another():
    alone, company = stack((3,), (5,)), stack((2, 3, 1))
    put(company, 1, cut(alone, 0))
    assert all(torch.equal(value, cut(alone, 0)[name]) for name, value in cut(company, 1).items())


def test_put_writes_into_the_memory_that_is_there():
    made = stack((2, 2, 2))
    pack = Pack(made, made.fusion_axis, lambda name: False)
    put(made, 1, cut(stack((2, 2, 2), (1, 2, 3)), 1))
    flat = torch.cat([part.weights for part in pack.parts(1)])
    expected = cut(stack((2, 2, 2), (1, 2, 3)), 1)
    assert math.isclose(
        float(flat.abs().sum()),
        sum(float(v.abs().sum()) for n, v in expected.items() if "running" not in n),
        rel_tol=1e-5,
    )


def test_a_state_that_does_not_fit_is_refused_with_every_fault_and_nothing_written():
    made = stack()
    before, state = cut(made, 1), cut(stack(seeds=(1, 2, 3)), 1)
    del state["tau"]
    state["net_conv.bias"] = state["net_conv.bias"][:2]
    state["stranger"] = torch.zeros(1)
    with pytest.raises(ValueError, match="does not fit") as caught:
        put(made, 1, state)
    for fault in ("tau: missing", "stranger: unknown", "net_conv.bias: shape (2, 4), expected (3, 4)"):
        assert fault in str(caught.value)
    assert all(torch.equal(value, before[name]) for name, value in cut(made, 1).items())


def test_prefixes_can_be_left_out_and_keep_what_they_have():
    made = stack((2, 2, 2))
    linear = made.linear.weight[1].clone()
    state = cut(stack((2, 2, 2), (1, 2, 3)), 1, leave=["linear.", "net_"])
    assert not any(name.startswith(("linear.", "net_")) for name in state)
    put(made, 1, state, leave=["linear.", "net_"])
    assert torch.equal(made.linear.weight[1], linear)
    assert torch.equal(cut(made, 1)["conv.weight"], state["conv.weight"])


# --- Initial weights ---


def test_initial_weights_depend_on_the_replicas_seed_and_the_layers_name_alone():
    company, alone = stack((2, 3, 1), (7, 8, 9)), stack((3,), (8,))
    assert all(torch.equal(value, cut(alone, 0)[name]) for name, value in cut(company, 1).items() if name != "tau")


def test_a_fusion_nets_initial_weights_do_not_depend_on_k():
    few, many = cut(stack((2,), (7,)), 0), cut(stack((5,), (7,)), 0)
    for name in ("net_conv.weight", "net_conv.bias", "net_linear.weight", "net_linear.bias"):
        assert torch.equal(few[name], many[name][:2]), name


def test_seeds_layers_and_ranks_have_weights_of_their_own():
    state, other = cut(stack(), 1), cut(stack(), 0)
    assert not torch.equal(state["linear.weight"], other["linear.weight"])
    assert not torch.equal(state["linear.bias"], state["conv.bias"])
    assert not torch.equal(state["net_conv.weight"][0], state["net_conv.weight"][1])


@pytest.mark.parametrize(
    ("make", "like", "fan_in"),
    [
        (lambda: Linear(1, 50, 200), lambda: nn.Linear(50, 200), 50),
        (lambda: Conv3(1, 50, 200), lambda: nn.Conv1d(50, 200, 3), 150),
    ],
    ids=["linear", "convolution"],
)
def test_initial_weights_are_spread_as_torchs_are(make, like, fan_in):
    made, plain, bound = make(), like(), 1 / math.sqrt(fan_in)
    initialise(made, [3])
    for mine, torchs in ((made.weight, plain.weight), (made.bias, plain.bias)):
        assert mine.abs().max() <= bound
        deviation = bound / math.sqrt(3)
        assert abs(float(mine.detach().std()) - deviation) < 0.15 * deviation  # 5 sigma of 200 biases
        assert abs(float(torchs.detach().std()) - deviation) < 0.15 * deviation
        assert abs(float(mine.detach().mean())) < 5 * deviation / math.sqrt(mine.numel())


def test_norms_and_temperatures_keep_what_their_constructors_gave_them():
    made = stack()
    assert torch.equal(made.norm.weight, torch.ones(3, 4))
    assert torch.equal(made.tau.detach(), torch.tensor([1.0, 2.0, 3.0]))


def test_initial_weights_do_not_touch_the_global_generator():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    stack()
    assert torch.equal(torch.get_rng_state(), before)
