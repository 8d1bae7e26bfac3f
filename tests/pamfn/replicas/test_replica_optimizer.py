"""One optimiser for many replicas against torch.optim on each replica alone."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from pamfn.replicas.axis import FusionAxis
from pamfn.replicas.cut import cut, initialise, put
from pamfn.replicas.layers import Conv3, Linear
from pamfn.replicas.optimizer import Rate, ReplicaOptimizer, learning_rate
from pamfn.replicas.pack import Pack

# Gradients accumulate in place into rows that are far apart; see pamfn.replicas.pack.
pytestmark = pytest.mark.filterwarnings("ignore:grad and param do not obey")

KINDS = ("adamw", "sgd")
COUNTS = (2, 3, 1)
RATES = (0.1, 0.01, 0.3)


class Body(nn.Module):
    """A network with a body, a head, a scalar a replica, FusionNets, and something fixed."""

    def __init__(self, counts=COUNTS):
        super().__init__()
        self.fusion_axis = axis = FusionAxis(counts)
        self.linear, self.conv, self.head = (
            Linear(len(counts), 3, 5),
            Conv3(len(counts), 3, 2),
            Linear(len(counts), 5, 1),
        )
        self.nets = Conv3(axis.total, 2, 2, axis=axis)
        self.tau = nn.Parameter(torch.full((len(counts),), 2.0))
        self.fixed = Linear(len(counts), 3, 3)
        self.fixed.requires_grad_(False)


def body(counts=COUNTS, seeds=(7, 8, 9)):
    made = Body(counts)
    initialise(made, seeds)
    return made


def optimiser(made, *, kind="adamw", **changes):
    """Returns the optimiser of a body, which takes bare learning rates, and its pack."""
    pack = Pack(made, made.fusion_axis, lambda name: name.startswith("head."))
    optimizer = ReplicaOptimizer(pack, kind=kind)
    step = optimizer.step
    optimizer.step = lambda rates, active: step([Rate(lr, 0.1, **changes) for lr in rates], active)
    return optimizer, pack


def push(made, step, *, scale=1.0):
    """Adds a gradient to every parameter that depends on the replica's own seed, name and step alone."""
    for name, parameter in made.named_parameters():
        if parameter.requires_grad:
            for replica in range(len(made.fusion_axis.counts)):
                rows = made.fusion_axis.rows(replica) if name.startswith("nets.") else replica
                draws = torch.Generator().manual_seed(1000 * step + 10 * replica + len(name))
                parameter.grad[rows] += scale * torch.randn(parameter[rows].shape, generator=draws)


def gradients(made, replica):
    """Returns the gradients of one replica as they are cut out."""
    holder = Body(made.fusion_axis.counts)
    for name, parameter in made.named_parameters():
        holder.get_parameter(name).data = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    return cut(holder, replica)


def torchs(made, replica, *, kind, rate, head_scale=1.0):
    """Returns one replica's parameters by themselves, and torch's optimiser of them."""
    mine = {name: nn.Parameter(value) for name, value in cut(made, replica).items() if not name.startswith("fixed.")}
    head = [value for name, value in mine.items() if name.startswith("head.")]
    rest = [value for name, value in mine.items() if not name.startswith("head.")]
    groups = [{"params": rest, "lr": rate}, {"params": head, "lr": rate * head_scale}]
    if kind == "adamw":
        return mine, torch.optim.AdamW(groups, weight_decay=0.1)
    return mine, torch.optim.SGD(groups, weight_decay=0.1, momentum=0.9, lr=rate)


# --- The pack ---


def test_parameters_become_views_that_go_on_holding_their_values():
    made, before = body(), cut(body(), 1)
    _, pack = optimiser(made)
    assert all(torch.equal(value, before[name]) for name, value in cut(made, 1).items())
    pack.replicas.weights.zero_()
    assert not made.linear.weight.any()


def test_gradients_accumulate_into_the_flat_rows():
    made = body()
    _, pack = optimiser(made)
    made.linear(torch.ones(3, 2, 3)).sum().backward()
    made.linear(torch.ones(3, 2, 3)).sum().backward()
    assert torch.equal(made.linear.bias.grad, torch.full((3, 5), 4.0))
    assert pack.grads_RP.sum() == made.linear.weight.grad.sum() + made.linear.bias.grad.sum()
    pack.zero_grad()
    assert not made.linear.weight.grad.any()


def test_a_fixed_parameter_keeps_its_values_and_takes_no_gradient():
    made, before = body(), body().fixed.weight
    optimiser(made)
    assert torch.equal(made.fixed.weight, before)
    assert not made.fixed.weight.requires_grad
    assert made.fixed.weight.grad is None


def test_the_rows_of_replicas_hold_everything_once_and_tell_the_head():
    made = body()
    _, pack = optimiser(made)
    for replica, k in enumerate(COUNTS):
        parts = pack.parts(replica)
        assert [part.is_head for part in parts] == [False, True, False]
        weights = {name: v for name, v in cut(made, replica).items() if not name.startswith("fixed.")}
        # padding is zero and adds nothing
        assert math.isclose(
            sum(float(part.weights.abs().sum()) for part in parts),
            sum(float(v.abs().sum()) for v in weights.values()),
            rel_tol=1e-6,
        )
        assert parts[2].weights.numel() % k == 0


def test_a_network_without_fusion_nets_packs_as_well():
    linear = Linear(2, 3, 4)
    initialise(linear, [1, 2])
    pack = Pack(linear, None, lambda name: False)
    assert len(pack.parts(0)) == 1
    pack.clip_(torch.ones(2))


def test_replicas_come_and_go_and_the_others_keep_every_bit():
    made = body()
    optimizer, pack = optimiser(made)
    for step in range(2):
        optimizer.zero_grad()
        push(made, step)
        optimizer.step(RATES, [True] * 3)
    last, moments = cut(made, 2), optimizer.state(2)
    pack.keep_only([0, 2])
    optimizer.keep_only([0, 2])
    assert made.fusion_axis.counts == (2, 1)
    assert all(torch.equal(value, last[name]) for name, value in cut(made, 1).items())
    assert all(torch.equal(value, moments[name]) for name, value in optimizer.state(1).items())
    pack.resize([2, 1, 4])
    optimizer.reset([2])
    put(made, 2, cut(body((4,), (5,)), 0))
    assert made.nets.weight.shape[0] == 7
    assert all(torch.equal(value, cut(body((4,), (5,)), 0)[name]) for name, value in cut(made, 2).items())
    assert all(torch.equal(value, last[name]) for name, value in cut(made, 1).items())
    assert all(torch.equal(value, moments[name]) for name, value in optimizer.state(1).items())
    assert optimizer.state(2) == {}


def test_a_refilled_row_steps_as_a_fresh_one_does():
    used, fresh = body(), body(seeds=(7, 8, 4))
    one, pack = optimiser(used)
    other, _ = optimiser(fresh)
    push(used, 0)
    one.step(RATES, [True] * 3)
    pack.keep_only([0, 1])
    one.keep_only([0, 1])
    pack.resize(COUNTS)
    one.reset([2])
    put(used, 2, cut(fresh, 2))
    for step in range(1, 4):
        for optimizer, made in ((one, used), (other, fresh)):
            optimizer.zero_grad()
            push(made, step)
            optimizer.step(RATES, [True] * 3)
    assert all(torch.equal(value, cut(fresh, 2)[name]) for name, value in cut(used, 2).items())
    assert all(torch.equal(value, other.state(2)[name]) for name, value in one.state(2).items())


# --- Clipping ---


def test_each_replica_is_clipped_as_torch_clips_it_alone():
    made = body()
    _, pack = optimiser(made)
    push(made, 1)
    norms = torch.tensor([0.5, 1e6, 2.0])
    expected = []
    for replica, norm in enumerate(norms.tolist()):
        alone, _ = torchs(made, replica, kind="sgd", rate=0.1)
        for name, parameter in alone.items():
            parameter.grad = gradients(made, replica)[name]
        nn.utils.clip_grad_norm_(alone.values(), norm)
        expected.append({name: parameter.grad for name, parameter in alone.items()})
    pack.clip_(norms)
    for replica, of in enumerate(expected):
        for name, gradient in of.items():
            torch.testing.assert_close(gradients(made, replica)[name], gradient, rtol=1e-5, atol=1e-7)


def test_an_infinite_norm_changes_no_bit():
    made = body()
    _, pack = optimiser(made)
    push(made, 1)
    before = pack.grads_RP.clone(), pack.grads_FP.clone()
    pack.clip_(torch.full((3,), math.inf))
    assert torch.equal(pack.grads_RP, before[0])
    assert torch.equal(pack.grads_FP, before[1])


@pytest.mark.parametrize("layer", ["linear", "nets"])
def test_a_gradient_that_is_nan_clips_no_neighbour(layer):
    made, clean = body(), body()
    packs = [optimiser(each)[1] for each in (made, clean)]
    for each in (made, clean):
        push(each, 1)
    getattr(made, layer).weight.grad[made.fusion_axis.rows(1) if layer == "nets" else 1] = math.nan
    for pack in packs:
        pack.clip_(torch.full((3,), 0.5))
    for replica in (0, 2):
        for name, gradient in gradients(made, replica).items():
            assert torch.equal(gradient, gradients(clean, replica)[name]), name


# --- Steps ---


@pytest.mark.parametrize("kind", KINDS)
def test_replicas_at_rates_of_their_own_step_as_torch_steps_each_alone(kind):
    made = body()
    whole, _ = optimiser(made, kind=kind, head_scale=0.1)
    alone = [torchs(made, r, kind=kind, rate=rate, head_scale=0.1) for r, rate in enumerate(RATES)]
    for step in range(5):
        whole.zero_grad()
        push(made, step)
        for replica, (mine, optimizer) in enumerate(alone):
            for name, parameter in mine.items():
                parameter.grad = gradients(made, replica)[name]
            optimizer.step()
        whole.step(RATES, [True] * 3)
    for replica, (mine, _) in enumerate(alone):
        for name, value in cut(made, replica).items():
            if name in mine:
                torch.testing.assert_close(
                    value, mine[name].detach(), rtol=2e-5, atol=2e-6, msg=lambda m, n=name: f"{n}: {m}"
                )


@pytest.mark.parametrize("kind", KINDS)
def test_a_resting_replica_is_untouched_bit_for_bit_and_goes_on_as_if_it_had_not_rested(kind):
    resting, steady = body(), body()
    one, other = (optimiser(each, kind=kind, clip_norm=0.5)[0] for each in (resting, steady))
    for step in range(3):
        for optimizer, each in ((one, resting), (other, steady)):
            optimizer.zero_grad()
            push(each, step)
            optimizer.step(RATES, [True] * 3)
    before, moments = cut(resting, 1), one.state(1)
    for step in (17, 18):
        one.zero_grad()
        push(resting, step)
        one.step(RATES, [True, False, True])
    assert all(torch.equal(value, before[name]) for name, value in cut(resting, 1).items())
    assert all(torch.equal(value, moments[name]) for name, value in one.state(1).items())
    for optimizer, each in ((one, resting), (other, steady)):
        optimizer.zero_grad()
        push(each, 4)
        optimizer.step(RATES, [True] * 3)
    assert all(torch.equal(value, cut(steady, 1)[name]) for name, value in cut(resting, 1).items())
    assert not torch.equal(resting.linear.weight[0], steady.linear.weight[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_nan_gradient_stays_in_its_replica(kind):
    made, clean = body(), body()
    for each in (made, clean):
        optimizer, _ = optimiser(each, kind=kind, clip_norm=0.5)
        for step in range(3):
            optimizer.zero_grad()
            push(each, step)
            if each is made and step == 1:
                made.nets.weight.grad[made.fusion_axis.rows(1).start] = math.nan
            optimizer.step(RATES, [True] * 3)
    assert made.linear.weight[1].isnan().all()
    for replica in (0, 2):
        assert all(torch.equal(value, cut(clean, replica)[name]) for name, value in cut(made, replica).items())


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_taken_out_and_put_into_a_fresh_optimiser_goes_on_bit_for_bit(kind):
    made = body()
    optimizer, _ = optimiser(made, kind=kind)
    for step in range(3):
        optimizer.zero_grad()
        push(made, step)
        optimizer.step(RATES, [True] * 3)
    copied = body()
    for name, tensor in copied.named_parameters():
        tensor.data = made.get_parameter(name).detach().clone()
    again, _ = optimiser(copied, kind=kind)
    for replica in range(3):
        again.restore(replica, optimizer.state(replica))
    for step in range(3, 6):
        for each, net in ((optimizer, made), (again, copied)):
            each.zero_grad()
            push(net, step)
            each.step(RATES, [True] * 3)
    for replica in range(3):
        assert all(torch.equal(value, cut(made, replica)[name]) for name, value in cut(copied, replica).items())


def test_an_empty_state_makes_a_replica_fresh():
    made = body()
    optimizer, _ = optimiser(made)
    assert optimizer.state(0) == {}
    push(made, 0)
    optimizer.step(RATES, [True] * 3)
    assert optimizer.state(0)
    optimizer.restore(0, {})
    assert optimizer.state(0) == {}
    assert optimizer.state(1)


def test_a_state_is_a_copy():
    made = body()
    optimizer, _ = optimiser(made)
    push(made, 0)
    optimizer.step(RATES, [True] * 3)
    state = optimizer.state(0)
    before = {name: value.clone() for name, value in state.items()}
    push(made, 1)
    optimizer.step(RATES, [True] * 3)
    assert all(torch.equal(value, before[name]) for name, value in state.items())


def test_an_unknown_optimiser_is_refused_by_name():
    with pytest.raises(ValueError, match="optimizer: 'adam' is not one of adamw, sgd"):
        optimiser(body(), kind="adam")


# --- The schedule ---


def test_a_cosine_schedule_is_torchs_over_the_full_budget():
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=30, eta_min=5e-6)
    for epoch in range(31):
        expected = optimizer.param_groups[0]["lr"]
        assert learning_rate(epoch, peak=0.01, floor=5e-6, epochs=30, schedule="cosine") == pytest.approx(expected)
        optimizer.step()
        schedule.step()


def test_a_cosine_schedule_starts_at_its_peak_is_halfway_in_the_middle_and_ends_at_its_floor():
    rates = [learning_rate(e, peak=1.0, floor=0.2, epochs=10, schedule="cosine") for e in (0, 5, 10)]
    assert rates == pytest.approx([1.0, 0.6, 0.2])


def test_a_constant_schedule_is_constant():
    assert {learning_rate(e, peak=0.3, floor=0.1, epochs=9, schedule="constant") for e in range(9)} == {0.3}


def test_a_floor_above_the_peak_is_no_rise():
    assert {learning_rate(e, peak=1e-6, floor=5e-6, epochs=9, schedule="cosine") for e in range(9)} == {1e-6}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", KINDS)
def test_a_state_saved_on_the_cpu_goes_on_on_a_gpu(kind):
    here, there = body(), body().cuda()
    one, other = (optimiser(each, kind=kind)[0] for each in (here, there))
    push(here, 0)
    one.step(RATES, [True] * 3)
    for name, tensor in there.named_parameters():
        tensor.data.copy_(here.get_parameter(name))
    for replica in range(3):
        other.restore(replica, one.state(replica))
    for each in (one, other):
        each.zero_grad()
    push(here, 1)
    for name, tensor in there.named_parameters():
        if tensor.requires_grad:
            tensor.grad.copy_(here.get_parameter(name).grad)
    for each in (one, other):
        each.step(RATES, [True] * 3)
    for name, tensor in there.named_parameters():
        torch.testing.assert_close(tensor.detach().cpu(), here.get_parameter(name).detach(), rtol=1e-5, atol=1e-6)
