"""A replica gives the same numbers alone and in company, and a NaN stays where it is.

Library kernels may add in another order for another number of rows, so "alone" in a bitwise test means the same shapes
with the neighbours' videos absent, or with other neighbours. Against a program of one row the tests are in float64,
where rounding stays below 1e-9 over a few steps.
"""

from __future__ import annotations

import math

import pytest
import torch
from company import WIDTHS, Company, assert_close, assert_same

from pamfn.model.network import PAMFN
from pamfn.recipe import Recipe, recipe
from pamfn.replicas.cut import cut, put
from pamfn.replicas.noise import Noise

pytestmark = pytest.mark.filterwarnings("ignore:grad and param do not obey")

PAPER = recipe("paper", width=8, fusion_nets=3, stages=3, head_dropout=0.2, clip_norm=0.5)
RECIPES = {
    "paper": PAPER,
    "released": recipe("released", width=8, fusion_nets=3, stages=3, clip_norm=0.5),
    "paper of two stages": recipe("paper", width=8, fusion_nets=3, stages=2, msfd_heads=2, clip_norm=0.5),
}


@pytest.fixture(params=RECIPES, name="settings")
def _settings(request: pytest.FixtureRequest) -> Recipe:
    return RECIPES[request.param]


def test_a_replica_trains_the_same_beside_absent_neighbours_to_the_last_bit(settings):
    company = Company(settings, [5, 6, 7]).train()
    alone = Company(settings, [5, 6, 7], present=[False, True, False]).train()
    assert company.curve(1) == alone.curve(1)
    assert all(torch.equal(g[1], h[1]) for g, h in zip(company.gradients, alone.gradients, strict=True))
    assert_same(cut(company.network, 1), cut(alone.network, 1))
    assert_same(company.optimizer.state(1), alone.optimizer.state(1))


def test_a_replica_trains_the_same_beside_other_neighbours_in_another_place_to_the_last_bit(settings):
    company, other = Company(settings, [5, 6, 7]).train(), Company(settings, [8, 9, 5]).train()
    assert company.curve(0) == other.curve(2)
    assert_same(cut(company.network, 0), cut(other.network, 2))


def test_a_replica_trains_the_same_in_a_program_of_its_own_up_to_rounding(settings):
    company = Company(settings, [5, 6, 7], dtype=torch.float64).train()
    for replica, seed in enumerate((5, 6, 7)):
        alone = Company(settings, [seed], dtype=torch.float64).train()
        assert company.curve(replica) == pytest.approx(alone.curve(0), abs=1e-9)
        assert_close(cut(company.network, replica), cut(alone.network, 0))


def test_single_precision_in_a_program_of_its_own_differs_by_the_rounding_of_a_few_steps():
    wide = recipe("paper", width=32, fusion_nets=3, stages=3)
    rate = 5e-4  # the paper's; at 20 times that, rounding soon flips a decision
    company, alone = (Company(wide, s).train(range(10), rates=[rate] * len(s)) for s in ([5, 6, 7], [6]))
    scores = []
    for each in (company, alone):
        x, segments = each.batch(0)
        scores.append(each.network.eval()(x, segments, None).score_RB)
    # 1e-6 is usual; a bias that batch norm hides would be 1e-4 off if rounding could move it
    torch.testing.assert_close(scores[0][1], scores[1][0], rtol=0, atol=2e-5)


def test_a_bias_that_batch_norm_takes_away_has_no_gradient_to_make_steps_of():
    company = Company(PAPER, [5, 6]).train(range(2))
    trained = [n for n, p in company.network.named_parameters() if p.requires_grad]
    idle = [n for n in trained if n.endswith(("conv1.bias", "conv2.bias", "linear1.bias", "shortcut.bias"))]
    assert idle
    for name in idle:
        assert not company.network.get_parameter(name).grad.any(), name


@pytest.mark.parametrize("design", ["attention", "trunk"])
def test_replicas_of_different_k_side_by_side_train_as_each_alone(design):
    settings = recipe("paper", width=8, stages=2, fusion_design=design, clip_norm=0.5)
    counts = [2, 5, 1]
    company = Company(settings, [5, 6, 7], counts=counts, dtype=torch.float64).train()
    for replica, (seed, k) in enumerate(zip((5, 6, 7), counts, strict=True)):
        alone = Company(settings, [seed], counts=[k], dtype=torch.float64).train()
        assert company.curve(replica) == pytest.approx(alone.curve(0), abs=1e-9)
        assert_close(cut(company.network, replica), cut(alone.network, 0))


def test_beside_another_k_a_replica_is_the_same_to_the_last_bit_where_capacity_is(settings):
    one = Company(settings, [5, 6, 7], counts=[2, 5, 3]).train()
    other = Company(settings, [5, 8, 9], counts=[2, 5, 3]).train()
    assert one.curve(0) == other.curve(0)
    assert_same(cut(one.network, 0), cut(other.network, 0))


@pytest.mark.parametrize("counts", [None, [2, 5, 3]], ids=["one K", "mixed K"])
@pytest.mark.parametrize(
    "layer", ["head.score", "stages.0.afm.refine.conv1", "branches.audio.embedding.linear1", "tau"]
)
def test_a_nan_stays_in_its_replica(settings, counts, layer):
    clean, ill = (Company(settings, [5, 6, 7], counts=counts) for _ in range(2))
    parameter = ill.network.tau if layer == "tau" else ill.network.get_submodule(layer).weight
    rows = ill.network.fusion_axis.rows(1) if "refine" in layer else 1
    parameter.data[rows] = math.nan
    clean.train()
    ill.train()
    assert all(math.isnan(loss) for loss in ill.curve(1)[1:])
    for replica in (0, 2):
        assert clean.curve(replica) == ill.curve(replica)
        assert_same(cut(clean.network, replica), cut(ill.network, replica))
        assert_same(clean.optimizer.state(replica), ill.optimizer.state(replica))


def test_a_nan_feature_stays_in_its_replica(settings):
    clean, ill = Company(settings, [5, 6, 7]), Company(settings, [5, 6, 7])
    x, segments = ill.batch(0)
    spoilt = {name: value.clone() for name, value in x.items()}
    spoilt["audio"][1, 0, 0, 0] = math.inf
    noise = Noise([5, 6, 7], [0, 0, 0])
    good, bad = clean.network(x, segments, noise).score_RB, ill.network(spoilt, segments, noise).score_RB
    assert bad[1].isnan().any()
    assert torch.equal(good[[0, 2]], bad[[0, 2]])
    for replica in (0, 2):
        assert_same(cut(clean.network, replica), cut(ill.network, replica))


def test_a_replica_cut_out_and_put_into_another_company_trains_on_as_if_nothing_had_been(settings):
    steady = Company(settings, [5, 6, 7]).train(range(4))
    first = Company(settings, [5, 6, 7]).train(range(2))
    second = Company(settings, [8, 9, 5])
    put(second.network, 2, cut(first.network, 0))
    second.optimizer.restore(2, first.optimizer.state(0))
    second.train(range(2, 4))
    assert steady.curve(0)[2:] == second.curve(2)
    assert_same(cut(steady.network, 0), cut(second.network, 2))


def test_a_resting_replica_is_untouched_to_the_last_bit_by_its_neighbours_training(settings):
    company = Company(settings, [5, 6, 7]).train(range(2))
    before, moments = cut(company.network, 1), company.optimizer.state(1)
    company.present = [True, False, True]
    company.train(range(2, 4))
    assert_same(cut(company.network, 1), before)
    assert_same(company.optimizer.state(1), moments)


def test_rates_of_their_own_change_no_neighbour(settings):
    slow = Company(settings, [5, 6, 7]).train(rates=[1e-2, 1e-4, 1e-2])
    fast = Company(settings, [5, 6, 7]).train(rates=[1e-2, 1e-1, 1e-2])
    for replica in (0, 2):
        assert_same(cut(slow.network, replica), cut(fast.network, replica))
    assert not torch.equal(cut(slow.network, 1)["head.score.weight"], cut(fast.network, 1)["head.score.weight"])


def test_initial_weights_depend_on_a_replicas_seed_alone_and_on_ranks_not_k(settings):
    company = cut(PAMFN(settings, WIDTHS, [5, 6, 7], fusion_nets=[2, 5, 3]), 1)
    assert_same(company, cut(PAMFN(settings, WIDTHS, [6], fusion_nets=[5]), 0))
    fewer = cut(PAMFN(settings, WIDTHS, [6], fusion_nets=[2]), 0)
    for name, value in fewer.items():
        expected = company[name] if company[name].shape == value.shape else company[name][:2]
        assert torch.equal(value, expected), name


def test_training_draws_nothing_from_the_global_generator(settings):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    Company(settings, [5, 6]).train(range(1))
    assert torch.equal(torch.get_rng_state(), before)
