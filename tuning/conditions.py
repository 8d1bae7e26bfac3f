"""Conditions of searched settings: ``when: {head_layers: 2}`` makes a setting matter only where another has a value."""

from __future__ import annotations

from collections.abc import Mapping
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


def parents_first(domains: Mapping[str, Domain]) -> list[str]:
    """Returns the searched settings so that each comes after those it depends on, as written otherwise.

    Raises:
        ValueError: If settings depend on each other in a circle.
    """
    sorter = TopologicalSorter({name: list(domain.when or ()) for name, domain in domains.items()})
    try:
        return list(sorter.static_order())
    except CycleError as error:
        raise ValueError(f"when: {' -> '.join(error.args[1])} depend on each other in a circle") from error
