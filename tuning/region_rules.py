"""The rules of what is searched: conditions and constraints between settings, and what a grid needs.

Rules look at a region made of the sound parts of a space alone, so that each speaks only of what it can be sure of.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import islice, product
from typing import Any

import numpy as np

from tuning import constraints
from tuning.conditions import circles, wanted
from tuning.constraints import Constraint
from tuning.domains import ChoiceDomain, Domain, FloatDomain, contains, describe
from tuning.drawing import count
from tuning.faults import UNSET, near_miss
from tuning.region import FINITE, Region
from tuning.space_model import Space
from tuning.space_rules import Breach, touches
from tuning.yaml_lines import Path


def condition_breaches(space: Space, broken: Collection[Path]) -> Iterator[Breach]:
    """Yields each condition on a value that its setting never has, and each circle of conditions."""
    for name, domain in space.search.items():
        for parent, named in (domain.when or {}).items():
            if parent in space.search and not touches(("search", parent), broken):
                yield from _values_never_taken(("search", name, "when", parent), space.search[parent], named)
    yield from _circles(space.search)


def sound_region(space: Space, broken: Collection[Path]) -> Region:
    """Returns the region that the sound parts of a space make: without what depends on a broken one."""
    domains = dict(space.search)
    while ill := [name for name, domain in domains.items() if set(domain.when or ()) - set(domains)]:
        for name in ill:
            del domains[name]
    sound = [constraint for _, constraint in sound_constraints(space, domains, broken)]
    return Region(domains, {name: space.preset_value(name) for name in domains}, sound)


def region_breaches(space: Space, region: Region, broken: Collection[Path]) -> Iterator[Breach]:
    """Yields what is wrong with a search as a whole.

    Args:
        space: The space.
        region: As ``sound_region`` has it.
        broken: The paths of the faulty parts.
    """
    yield from _without_answer(space, broken)
    yield from _never_satisfied(space, region, broken)
    if space.searcher.type == "grid" and not touches(("searcher",), broken):
        yield from _not_finite(space, region)


def _values_never_taken(path: Path, parent: Domain, named: Any) -> Iterator[Breach]:
    several = isinstance(named, tuple) and not contains(parent, named)
    if named == ():
        yield Breach(path, [], "holds no value; name at least one")
    for place, value in enumerate(wanted(parent, named)):
        if not contains(parent, value):
            near = near_miss(str(value), map(str, parent.values)) if isinstance(parent, ChoiceDomain) else ""
            at = (*path, place) if several else path
            yield Breach(at, value, f"is no value that {path[-1]} can have, {describe(parent)}", near)


def _circles(domains: Mapping[str, Domain]) -> Iterator[Breach]:
    for circle in circles(domains):
        rule = f"goes round in a circle: {' -> '.join((*circle, circle[0]))}"
        yield Breach(("search", circle[0], "when"), UNSET, rule, "take one of these conditions away")


def sound_constraints(
    space: Space, domains: Mapping[str, Domain], broken: Collection[Path]
) -> Iterator[tuple[int, Constraint]]:
    """Yields the constraints, with their places, that can be checked on every configuration of these domains."""
    for place, constraint in _readable(space, domains, broken):
        if _unanswerable(space, constraint) is None:
            yield place, constraint


def _readable(
    space: Space, domains: Mapping[str, Domain], broken: Collection[Path]
) -> Iterator[tuple[int, Constraint]]:
    for place, text in enumerate(space.constraints):
        if not touches(("constraints", place), broken):
            constraint = constraints.parse(text)
            if constraint.names <= set(domains):
                yield place, constraint


def _unanswerable(space: Space, constraint: Constraint) -> str | None:
    """Returns why a constraint can not be checked on some values of its settings; None if it can on all."""
    names = sorted(constraint.names)
    for values in islice(product(*(_telling(space, name) for name in names)), FINITE):
        try:
            constraint.holds(dict(zip(names, values, strict=True)))
        except TypeError as error:
            return str(error)
    return None


def _telling(space: Space, name: str) -> tuple[Any, ...]:
    """Returns values of a setting that stand for all of their kinds: of a choice all, of a range its ends."""
    domain = space.search[name]
    values = domain.values if isinstance(domain, ChoiceDomain) else (domain.low, domain.high)
    return (*values, space.preset_value(name)) if domain.when else values


def _without_answer(space: Space, broken: Collection[Path]) -> Iterator[Breach]:
    for place, constraint in _readable(space, space.search, broken):
        if reason := _unanswerable(space, constraint):
            yield Breach(("constraints", place), constraint.text, f"cannot be checked: {reason}")


def _never_satisfied(space: Space, region: Region, broken: Collection[Path]) -> Iterator[Breach]:
    """Yields the constraints that leave nothing to try: each that does so alone, or else all of them together."""
    if _satisfiable(region):
        return
    alone = False
    for place, constraint in sound_constraints(space, region.domains, broken):
        if not _satisfiable(Region(region.domains, region.defaults, [constraint])):
            alone = True
            yield Breach(("constraints", place), constraint.text, _nothing_left(region), "loosen it, or widen a range")
    if not alone:
        rule = f"as a whole {_nothing_left(region)}"
        yield Breach(("constraints",), UNSET, rule, "loosen one, or widen a range")


def _nothing_left(region: Region) -> str:
    bare = Region(region.domains, region.defaults)
    return "leaves no configuration to try" + ("" if bare.grid() is not None else ", or one among thousands drawn")


def _satisfiable(region: Region) -> bool:
    try:
        region.draw(np.random.default_rng(0))
    except ValueError:
        return False
    return True


def _not_finite(space: Space, region: Region) -> Iterator[Breach]:
    endless = False
    for name, domain in space.search.items():
        if isinstance(domain, FloatDomain):
            rule, endless = "has no end of values, and searcher.type is grid", True
            yield Breach(("search", name, "type"), "float", rule, "write {type: choice, values: [...]}")
        elif count(domain) > FINITE:
            rule, endless = f"({describe(domain)}) has more than the {FINITE:,} values of a grid", True
            yield Breach(("search", name), UNSET, rule, "write {type: choice, values: [...]}")
    if not endless and region.grid() is None:
        rule = f"would try more than {FINITE:,} configurations"
        yield Breach(("searcher", "type"), "grid", rule, "search fewer values, or set hyperopt or random")
