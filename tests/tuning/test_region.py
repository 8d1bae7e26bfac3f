"""A searched region: domains with conditions and constraints between them."""

import itertools
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuning.constraints import parse
from tuning.domains import ChoiceDomain, Domain, FloatDomain, IntDomain
from tuning.region import FINITE, Region, spelled


def choice(*values: Any, when: Any = None) -> ChoiceDomain:
    return ChoiceDomain(type="choice", values=values, when=when)


def whole(low: int, high: int, when: Any = None) -> IntDomain:
    return IntDomain(type="int", low=low, high=high, when=when)


LR = FloatDomain(type="float", low=1e-4, high=1e-2, log=True)
HEAD = {"reduction": choice(2, 4, when={"layers": 2}), "layers": choice(1, 2), "lr": LR}


def region(domains: dict[str, Domain], *constraints: str, **defaults: Any) -> Region:
    return Region(domains, defaults, [parse(text) for text in constraints])


@st.composite
def regions(draw: st.DrawFn) -> Region:
    """Returns a small finite region; each setting may depend on earlier ones, and the file may have any order."""
    names = ["a", "b", "c", "d"][: draw(st.integers(1, 4))]
    domains: dict[str, Domain] = {}
    for place, name in enumerate(names):
        parents = draw(st.lists(st.sampled_from(names[:place]), unique=True, max_size=2)) if place else []
        wanted = st.lists(st.integers(0, 3), min_size=1, max_size=2)
        when = {parent: draw(wanted) for parent in parents} or None
        kind = draw(st.sampled_from(["choice", "int"]))
        values = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True))
        domains[name] = whole(min(values), max(values) + 1, when) if kind == "int" else choice(*values, when=when)
    pool = ["a < 3", *(f"{one} + {other} > 1" for one, other in itertools.pairwise(names))]
    constraints = draw(st.lists(st.sampled_from(pool), max_size=2))
    order = draw(st.permutations(names))
    return region({name: domains[name] for name in order}, *constraints, a=0, b=1, c=2, d=7)


def by_hand(found: Region) -> list[dict[str, Any]]:
    """Returns every configuration, the obvious way: all values of all settings, defaults where a condition fails."""
    lists = [d.values if isinstance(d, ChoiceDomain) else range(d.low, d.high + 1) for d in found.domains.values()]
    configs = [found.canonical(dict(zip(found.domains, values, strict=True))) for values in itertools.product(*lists)]
    kept = {spelled(config): config for config in configs if found.allowed(config)}
    return list(kept.values())


@settings(deadline=None)
@given(found=regions())
def test_the_grid_is_what_one_finds_by_hand(found):
    grid = found.grid()
    assert grid is not None
    assert sorted(map(spelled, grid)) == sorted(map(spelled, by_hand(found)))
    assert all(tuple(config) == found.names for config in grid)


@settings(deadline=None)
@given(found=regions(), seed=st.integers(0, 99))
def test_what_is_drawn_is_canonical_allowed_and_without_fault(found, seed):
    grid = found.grid()
    if not grid:
        with pytest.raises(ValueError, match="constraints: no configuration satisfies them all; "):
            found.draw(np.random.default_rng(seed))
        return
    config = found.draw(np.random.default_rng(seed))
    assert config == found.canonical(config) == found.draw(np.random.default_rng(seed))
    assert found.allowed(config)
    assert found.faults(config) == []
    assert config in grid


@settings(deadline=None)
@given(found=regions(), data=st.data())
def test_canonical_is_idempotent_and_keeps_the_active_settings(found, data):
    config = {name: data.draw(st.integers(0, 4)) for name in found.names}
    once = found.canonical(config)
    assert found.canonical(once) == once
    assert all(once[name] == (config[name] if name in found.active(config) else found.defaults[name]) for name in once)


@settings(deadline=None)
@given(found=regions(), seed=st.integers(0, 99))
def test_decoding_what_was_encoded_gives_the_configuration_back(found, seed):
    if not found.grid():
        return
    config = found.draw(np.random.default_rng(seed))
    latents = found.encode(config)
    assert found.decode(latents) == config
    low, high = found.bounds().T
    assert ((low <= latents) & (latents <= high)).all()


def test_an_inactive_setting_has_its_default_even_outside_its_range():
    found = region(HEAD, reduction=1)
    assert found.canonical({"layers": 1, "reduction": 4, "lr": 1e-3}) == {"reduction": 1, "layers": 1, "lr": 1e-3}
    assert found.active({"layers": 1, "reduction": 4, "lr": 1e-3}) == {"layers", "lr"}
    assert found.active({"layers": 2, "reduction": 4, "lr": 1e-3}) == {"layers", "lr", "reduction"}
    assert found.faults({"layers": 1, "reduction": 1, "lr": 1e-3}) == []


def test_a_point_is_told_all_that_is_wrong_with_it():
    found = region(HEAD, "lr < 1e-3 or layers == 2", reduction=1)
    assert found.faults({"layers": 1, "reduction": 2, "lr": 1.0, "x": 3}) == [
        "x: the point sets it, but it is not searched",
        "reduction: 2 is given for a setting that is searched only when layers is 2",
        "lr: 1.0 is not 0.0001 to 0.01",
    ]
    assert found.faults({"layers": 2, "lr": 1e-3}) == ["reduction: the point has no value for it"]
    assert found.faults({"layers": 1, "reduction": 1, "lr": 5e-3}) == [
        "constraint 'lr < 1e-3 or layers == 2' does not hold"
    ]


def test_a_condition_on_lists_names_one_list_or_several():
    parent = choice(["audio"], ["audio", "rgb"], [])
    one = region({"x": choice(1, 2, when={"p": ["audio", "rgb"]}), "p": parent}, x=0)
    assert one.active({"p": ("audio", "rgb"), "x": 1}) == {"p", "x"}
    assert one.active({"p": ("audio",), "x": 1}) == {"p"}
    several = region({"x": choice(1, 2, when={"p": [["audio"], []]}), "p": parent}, x=0)
    assert [several.active({"p": value, "x": 1}) == {"p", "x"} for value in (("audio",), (), ("audio", "rgb"))] == [
        True,
        True,
        False,
    ]


def test_conditions_hang_on_values_not_on_whether_the_parent_is_active():
    chain = region({"c": choice(1, when={"b": 5}), "b": choice(6, 7, when={"a": 1}), "a": choice(0, 1)}, b=5, c=0)
    assert chain.canonical({"a": 0, "b": 7, "c": 1}) == {"c": 1, "b": 5, "a": 0}
    assert chain.canonical({"a": 1, "b": 7, "c": 1}) == {"c": 0, "b": 7, "a": 1}


def test_a_finite_region_tells_what_is_left_and_a_continuous_one_does_not():
    finite = {"k": whole(1, 2), "sign": choice("+", "-")}
    tried = {spelled({"k": 1, "sign": "+"}), spelled({"k": 2, "sign": "-"})}
    assert Region(finite).untried(tried) == [{"k": 1, "sign": "-"}, {"k": 2, "sign": "+"}]
    assert Region({**finite, "lr": LR}).untried(tried) is None
    assert Region({}).untried(set()) == [{}]


def test_a_region_without_conditions_is_counted_in_the_order_of_the_file():
    grid = Region({"k": whole(1, 3), "sign": choice("+", "-")}).grid()
    assert grid == [{"k": k, "sign": sign} for k in (1, 2, 3) for sign in "+-"]


def test_only_what_is_left_counts_toward_what_is_finite():
    wide = {"k": whole(1, FINITE), "n": whole(1, 10)}
    assert Region(wide).grid() is None
    assert len(region(wide, "k == 50 * n").grid() or ()) == 10
    assert Region({"k": whole(1, FINITE + 1)}).grid() is None


def test_a_corner_that_no_draw_hits_is_drawn_from_the_grid():
    found = region({"k": whole(1, 2000), "n": whole(1, 2)}, "k == 1234 and n == 2")
    assert found.draw(np.random.default_rng(0)) == {"k": 1234, "n": 2}


def test_constraints_that_leave_nothing_are_named_when_a_draw_fails():
    with pytest.raises(
        ValueError, match=r"constraints: none of 2000 draws satisfies them all; 'lr > 1' is broken most"
    ):
        region({"lr": LR, "k": whole(1, 9)}, "k > 1", "lr > 1").draw(np.random.default_rng(0))


def test_draws_that_satisfy_a_constraint_are_spread_as_before_among_the_rest():
    """Of 2000 draws 1000 +- 22 lie in either half of what is allowed; the bound is five deviations."""
    found, generator = region({"lr": LR}, "lr > 1e-3"), np.random.default_rng(0)
    drawn = [found.draw(generator)["lr"] for _ in range(2000)]
    middle = np.sqrt(1e-3 * 1e-2)
    assert abs(sum(lr < middle for lr in drawn) - 1000) < 110


@pytest.mark.parametrize(
    ("domains", "constraints", "defaults", "fault"),
    [
        ({"x": choice(1, when={"p": 1})}, [], {"x": 0}, "x.when: p is not searched"),
        ({"x": choice(1)}, ["x < y + z"], {}, "constraint 'x < y \\+ z': y, z is not searched"),
        ({"x": choice(1, when={"p": 1}), "p": choice(1)}, [], {}, "x: has a condition and no default to train with"),
        (
            {"x": choice(1, when={"p": 1}), "p": choice(1, when={"x": 1})},
            [],
            {"x": 0, "p": 0},
            "when: x -> p -> x goes round in a circle",
        ),
    ],
)
def test_a_region_that_makes_no_sense_is_refused(domains, constraints, defaults, fault):
    with pytest.raises(ValueError, match=fault):
        region(domains, *constraints, **defaults)


def test_a_region_survives_pickling():
    found = region(HEAD, "lr < 1e-3 or layers == 2", reduction=1)
    again = pickle.loads(pickle.dumps(found))
    assert again.draw(np.random.default_rng(3)) == found.draw(np.random.default_rng(3))


def test_true_and_one_are_different_configurations():
    assert spelled({"x": True}) != spelled({"x": 1})
    assert spelled({"x": (1, 2)}) == spelled({"x": [1, 2]})
