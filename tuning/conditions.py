"""Conditions of searched settings: ``when: {head_layers: 2}`` makes a setting matter only where another has a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from tuning.domains import Domain, contains, same_value


def wanted(parent: Domain, named: Any) -> tuple[Any, ...]:
    """Returns the values that a condition names: one, or each of a list unless the parent has lists for values."""
    return named if isinstance(named, tuple) and not contains(parent, named) else (named,)


def matters(name: str, domains: Mapping[str, Domain], config: Mapping[str, Any]) -> bool:
    """Returns whether the settings that a setting depends on have the values that it asks for.

    It is the value that counts: a setting may depend on one that is inactive itself and trains with its default.
    """
    return all(
        any(same_value(config[parent], value) for value in wanted(domains[parent], named))
        for parent, named in (domains[name].when or {}).items()
    )


def only_when(domain: Domain) -> str:
    """Returns a condition in words, such as ``is searched only when head_layers is 2``."""
    conditions = " and ".join(f"{parent} is {_spelled(named)}" for parent, named in (domain.when or {}).items())
    return f"is searched only when {conditions}"


def parents_first(domains: Mapping[str, Domain]) -> list[str]:
    """Returns the searched settings so that each comes after those it depends on, as written otherwise.

    Raises:
        ValueError: If settings depend on each other in a circle.
    """
    if circle := next(circles(domains), None):
        raise ValueError(f"when: {' -> '.join((*circle, circle[0]))} goes round in a circle")
    return list(TopologicalSorter(_parents(domains)).static_order())


def circles(domains: Mapping[str, Domain]) -> Iterator[list[str]]:
    """Yields settings that depend on each other in a circle, each asking for the one before it; no setting twice."""
    left = _parents(domains)
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            [*circle, _] = error.args[1]
            start = circle.index(min(circle, key=list(domains).index))
            yield circle[start:] + circle[:start]
            left = {n: [p for p in parents if p not in circle] for n, parents in left.items() if n not in circle}
        else:
            return


def _spelled(named: Any) -> str:
    return " or ".join(map(str, named)) if isinstance(named, tuple) else str(named)


def _parents(domains: Mapping[str, Domain]) -> dict[str, list[str]]:
    """Returns the settings that each depends on, of those that are searched."""
    return {name: [parent for parent in domain.when or () if parent in domains] for name, domain in domains.items()}
