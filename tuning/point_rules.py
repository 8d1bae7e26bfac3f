"""The rules of the configurations that a space names itself: its first trial, and ``points``."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from tuning.conditions import only_when
from tuning.domains import contains, describe, same_value
from tuning.faults import UNSET
from tuning.region import Region, spelled
from tuning.space_model import Space
from tuning.space_rules import Breach, touches
from tuning.yaml_lines import Path


def point_breaches(space: Space, region: Region, broken: Collection[Path]) -> Iterator[Breach]:
    """Yields what is wrong with the first trial and with each of ``points``, silent about broken parts.

    Args:
        space: The space.
        region: The region that its sound parts make; settings outside it are not spoken of.
        broken: The paths of the faulty parts.
    """
    first = {name: value for name, value in space.first_point().items() if name in region.domains}
    doubtful = {name for name in first if touches(("first", name), broken)}
    outside = [breach for breach in _first_trial(space, region, first) if breach.path[-1] not in doubtful]
    yield from outside
    doubtful |= {str(breach.path[-1]) for breach in outside}
    checkable = Region(region.domains, region.defaults, [c for c in region.constraints if not c.names & doubtful])
    yield from _first_trial_breaks(space, checkable, first)
    if not touches(("budget",), broken):
        yield from _more_than_trials(space)
    earlier = {} if doubtful else {spelled(region.canonical(first)): "the first trial"}
    for place, point in enumerate(space.points):
        if not touches(("points", place), broken) and set(point) <= set(region.domains):
            found = list(_point(("points", place), point, first, checkable, doubtful))
            yield from found
            config = spelled(region.canonical({**first, **point}))
            if config in earlier and not found and not doubtful:
                yield Breach(("points", place), UNSET, f"is {earlier[config]} again", "keep one")
            earlier.setdefault(config, f"points[{place}]")


def _first_trial(space: Space, region: Region, first: Mapping[str, Any]) -> Iterator[Breach]:
    changes = {} if space.first == "paper" else space.first
    active = region.active(first)
    for name, domain in region.domains.items():
        value = first[name]
        if name in active and not contains(domain, value):
            if name in changes:
                yield Breach(("first", name), value, f"is outside the range that is searched, {describe(domain)}")
            else:
                rule = f"({describe(domain)}) leaves out the {space.preset} preset's {value}, which is the first trial"
                yield Breach(("search", name), UNSET, rule, f"widen it, or name a first trial: first: {{{name}: ...}}")
        elif name in changes and name not in active and not same_value(value, region.defaults[name]):
            yield Breach(("first", name), value, f"is given for a setting that {only_when(domain)}", "leave it out")


def _first_trial_breaks(space: Space, region: Region, first: Mapping[str, Any]) -> Iterator[Breach]:
    config = region.canonical(first)
    for constraint in region.constraints:
        if not constraint.holds(config):
            names = sorted(constraint.names)
            values = ", ".join(f"{name} {config[name]}" for name in names)
            path = ("constraints", space.constraints.index(constraint.text))
            hint = f"name another first trial: first: {{{names[0]}: ...}}"
            yield Breach(path, constraint.text, f"does not hold for the first trial ({values})", hint)


def _more_than_trials(space: Space) -> Iterator[Breach]:
    points, trials = len(space.points), space.budget.trials
    if points and trials < points + 1:
        rule = f"is too few for the first trial and {points} of points"
        yield Breach(("budget", "trials"), trials, rule, f"set {points + 1} or more, or take points out")


def _point(
    path: Path, point: Mapping[str, Any], first: Mapping[str, Any], region: Region, doubtful: Collection[str]
) -> Iterator[Breach]:
    full = {**first, **point}
    active, sound = region.active(full), True
    for name, domain in region.domains.items():
        value = full[name]
        if name in active and not contains(domain, value):
            sound = False
            if name in point:
                yield Breach((*path, name), value, f"is outside the range that is searched, {describe(domain)}")
            elif name not in doubtful:
                rule = f"leaves {name} at the first trial's {value}, outside the range that is searched"
                yield Breach(path, UNSET, rule, f"give it a value, {describe(domain)}")
        elif name in point and name not in active and not same_value(value, region.defaults[name]):
            yield Breach((*path, name), value, f"is given for a setting that {only_when(domain)}", "leave it out")
    for constraint in region.constraints if sound else ():
        if not constraint.holds(region.canonical(full)):
            yield Breach(path, dict(point), f"breaks the constraint {constraint.text!r}")
