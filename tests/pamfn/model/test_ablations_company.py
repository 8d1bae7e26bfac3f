"""An ablation's replica gives the same numbers alone and in company, and a NaN stays where it is."""

from __future__ import annotations

import math

import pytest
import torch
from company import WIDTHS, Company, assert_close, assert_same

from pamfn.model.network import PAMFN
from pamfn.recipe import Recipe, recipe
from pamfn.replicas.axis import FusionAxis
from pamfn.replicas.cut import cut, put

pytestmark = pytest.mark.filterwarnings("ignore:grad and param do not obey")

SMALL = {"width": 8, "fusion_nets": 3, "stages": 2, "head_dropout": 0.2, "clip_norm": 0.5}
RECIPES = {
    "without CMFD": recipe(**SMALL, cmfd="none"),
    "without MSFD": recipe(**SMALL, msfd="none"),
    "both weighted": recipe(**SMALL, msfd="weighted", cmfd="weighted"),
    "unranked": recipe(**SMALL, policy="unranked"),
    "free": recipe(**SMALL, policy="free"),
    "first stage": recipe(**SMALL, fusing_stages=1),
}


@pytest.fixture(params=RECIPES, name="settings")
def _settings(request: pytest.FixtureRequest) -> Recipe:
    return RECIPES[request.param]


def test_a_replica_trains_the_same_beside_other_neighbours_in_another_place_to_the_last_bit(settings):
    company, other = Company(settings, [5, 6, 7]).train(), Company(settings, [8, 9, 5]).train()
    assert company.curve(0) == other.curve(2)
    assert_same(cut(company.network, 0), cut(other.network, 2))


@pytest.mark.parametrize("counts", [[3, 3, 3], [2, 5, 1]], ids=["one K", "mixed K"])
def test_a_replica_trains_the_same_in_a_program_of_its_own_up_to_rounding(settings, counts):
    company = Company(settings, [5, 6, 7], counts=counts, dtype=torch.float64).train()
    for replica, (seed, k) in enumerate(zip((5, 6, 7), counts, strict=True)):
        alone = Company(settings, [seed], counts=[k], dtype=torch.float64).train()
        assert company.curve(replica) == pytest.approx(alone.curve(0), abs=1e-9)
        assert_close(cut(company.network, replica), cut(alone.network, 0))


@pytest.mark.parametrize("counts", [None, [2, 5, 3]], ids=["one K", "mixed K"])
def test_a_nan_stays_in_its_replica(settings, counts):
    for name in _spoilt(settings):
        clean, ill = (Company(settings, [5, 6, 7], counts=counts) for _ in range(2))
        module, _, own = name.rpartition(".")
        of = ill.network.get_submodule(module)
        axis = getattr(of, "axis", None)
        getattr(of, own).data[axis.rows(1) if isinstance(axis, FusionAxis) else 1] = math.nan
        clean.train(range(2))
        ill.train(range(2))
        assert all(math.isnan(loss) for loss in ill.curve(1)), name
        for replica in (0, 2):
            assert clean.curve(replica) == ill.curve(replica)
            assert_same(cut(clean.network, replica), cut(ill.network, replica))


def _spoilt(settings: Recipe) -> list[str]:
    """Returns parameters that only this ablation has, or one behind what it has not."""
    mine = {name for name, _ in PAMFN(settings, WIDTHS, [1]).named_parameters()}
    whole = {name for name, _ in PAMFN(recipe(**SMALL), WIDTHS, [1]).named_parameters()}
    return sorted(mine - whole) or ["stages.1.mixed.conv1.weight"]


def test_a_replica_cut_out_and_put_into_another_company_trains_on_as_if_nothing_had_been(settings):
    steady = Company(settings, [5, 6, 7], counts=[2, 5, 3]).train(range(4))
    first = Company(settings, [5, 6, 7], counts=[2, 5, 3]).train(range(2))
    second = Company(settings, [8, 9, 5], counts=[5, 3, 2])
    put(second.network, 2, cut(first.network, 0))
    second.optimizer.restore(2, first.optimizer.state(0))
    second.train(range(2, 4))
    assert steady.curve(0)[2:] == second.curve(2)
    assert_same(cut(steady.network, 0), cut(second.network, 2))
