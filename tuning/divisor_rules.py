"""The rule that heads divide the width, over everything that a space searches."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from tuning.domains import ChoiceDomain, contains, possible, same_value
from tuning.drawing import draw
from tuning.faults import UNSET
from tuning.region import Region
from tuning.space_model import Space
from tuning.space_rules import Breach, touches
from tuning.yaml_lines import Path

DIVISORS = ("msfd_heads", "cmfd_heads", "head_reduction")
_LOOKED_AT = 2000  # combinations that a constraint or a condition might exclude; further ones are not looked at
_DRAWS = 100  # for one of them, where the settings around it have no end of values


def divisor_breaches(space: Space, region: Region, broken: Collection[Path]) -> Iterator[Breach]:
    """Yields each setting that must divide the width and does not in some configuration that may come up.

    Args:
        space: The space.
        region: The region that its sound parts make.
        broken: The paths of the faulty parts.
    """
    for name in DIVISORS:
        together = {name, "width"} | ({"head_layers"} if name == "head_reduction" else set())
        paths = [(section, part) for section in ("search", "fixed") for part in together]
        unsure = any(part in space.search and part not in region.domains for part in together)
        if unsure or any(touches(path, broken) for path in paths):
            continue
        if name == "head_reduction" and 2 not in _values(space, "head_layers"):
            continue
        if pair := _undivided(space, region, name):
            subject = name if name in space.search or name in space.fixed else "width"
            path = ("search" if subject in space.search else "fixed", subject)
            rule = f"allows {name} {pair[0]} with width {pair[1]}, which it does not divide"
            yield Breach(path, UNSET, rule, _way_out(space, name))


def _way_out(space: Space, name: str) -> str:
    hint = "let every value divide every width"
    both = name in space.search and "width" in space.search
    return f"{hint}, or write constraints: [width % {name} == 0]" if both else hint


def _undivided(space: Space, region: Region, name: str) -> tuple[int, int] | None:
    """Returns a value and a width that it does not divide, which a configuration may have together."""
    needed = {"head_layers": 2} if name == "head_reduction" else {}
    looked_at = 0
    for divisor in _values(space, name):
        for width in _values(space, "width"):
            pins = {n: v for n, v in {name: divisor, "width": width, **needed}.items() if n in region.domains}
            if width % divisor == 0 or _excluded(region, pins):
                continue
            looked_at += 1
            if looked_at > _LOOKED_AT:
                return None
            if _comes_up(region, pins):
                return divisor, width
    return None


def _values(space: Space, name: str) -> tuple[Any, ...]:
    if name not in space.search:
        return (space.value(name),)
    domain = space.search[name]
    return (*possible(domain), space.preset_value(name)) if domain.when else possible(domain)


def _excluded(region: Region, pins: Mapping[str, Any]) -> bool:
    return any(constraint.names <= set(pins) and not constraint.holds(pins) for constraint in region.constraints)


def _comes_up(region: Region, pins: Mapping[str, Any]) -> bool:
    """Returns whether an allowed configuration has these values; by draws, where they are not finitely many."""
    around = _around(region, pins)
    configs = around.grid()
    if configs is None:
        generator = np.random.default_rng(0)
        drawn = ({n: draw(domain, generator) for n, domain in around.domains.items()} for _ in range(_DRAWS))
        configs = [config for config in map(around.canonical, drawn) if around.allowed(config)]
    return any(_has(region, around, config, pins) for config in configs)


def _around(region: Region, pins: Mapping[str, Any]) -> Region:
    """Returns the part of a region that has to do with some settings, these held at their values."""
    names = set(pins)
    while True:
        tied = {name for constraint in region.constraints if constraint.names & names for name in constraint.names}
        asked = {parent for name in names if name in region.domains for parent in region.domains[name].when or ()}
        if tied | asked <= names:
            break
        names |= tied | asked
    domains = {name: domain for name, domain in region.domains.items() if name in names}
    for name, value in pins.items():
        domains[name] = ChoiceDomain(type="choice", values=(value,), when=domains[name].when)
    return Region(domains, region.defaults, [c for c in region.constraints if c.names <= names])


def _has(region: Region, around: Region, config: Mapping[str, Any], pins: Mapping[str, Any]) -> bool:
    """Returns whether a configuration of a part has these values, and none that its setting cannot have."""
    active = around.active(config)
    return all(same_value(config[name], value) for name, value in pins.items()) and all(
        contains(region.domains[name], config[name]) for name in active
    )
