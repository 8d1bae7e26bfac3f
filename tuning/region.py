"""What a study searches: domains, the conditions and constraints between them, and the values of what is inactive."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuning.conditions import matters, only_when, parents_first
from tuning.constraints import Constraint
from tuning.domains import Domain, contains, describe, frozen_value, possible, same_value
from tuning.drawing import bounds, count, decode, draw, encode

FINITE = 5000  # configurations; larger regions are as good as infinite to a study
_DRAWS = 2000  # before a region is given up whose constraints leave next to nothing
_FEW = 100  # before a finite one is counted instead
_LABOUR = 100_000  # configurations looked at in counting a region


class Region:
    """The configurations that a study may try, each with a value for every searched setting.

    Args:
        domains: The searched settings; a domain's ``when`` names others of them.
        defaults: The values of inactive settings; needed for each that has a ``when``.
        constraints: What every configuration must satisfy.

    Raises:
        ValueError: If a condition or a constraint names what is not searched, conditions go round in a circle, or a
            setting with a condition has no default.
    """

    def __init__(
        self,
        domains: Mapping[str, Domain],
        defaults: Mapping[str, Any] = MappingProxyType({}),
        constraints: Sequence[Constraint] = (),
    ) -> None:
        self.domains: dict[str, Domain] = dict(domains)
        self.defaults = {name: frozen_value(value) for name, value in defaults.items() if name in self.domains}
        self.constraints = tuple(constraints)
        self._conditional = {name for name, domain in self.domains.items() if domain.when}
        self._check_names()
        self._order = parents_first(self.domains)

    @property
    def names(self) -> tuple[str, ...]:
        """The searched settings, in the order of the space file; that of ``encode`` as well."""
        return tuple(self.domains)

    def draw(self, generator: np.random.Generator) -> dict[str, Any]:
        """Returns a configuration drawn evenly from every domain (over magnitudes where ``log``), among the allowed.

        Raises:
            ValueError: If no draw was allowed; the message names the constraint that most of them broke.
        """
        broken: Counter[str] = Counter()
        for attempt in range(_DRAWS):
            if attempt == _FEW and self.grid() is not None:
                break
            config = self.canonical({name: draw(domain, generator) for name, domain in self.domains.items()})
            breaks = [constraint.text for constraint in self.constraints if not constraint.holds(config)]
            if not breaks:
                return config
            broken.update(breaks)
        if left := self.grid():
            return dict(left[generator.integers(len(left))])
        which = "no configuration satisfies" if left is not None else f"none of {_DRAWS} draws satisfies"
        raise ValueError(f"constraints: {which} them all; {broken.most_common(1)[0][0]!r} is broken most often")

    def canonical(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a configuration with the default of every inactive setting, in the order of the space file.

        Two configurations that train the same network are equal in this form.
        """
        settled: dict[str, Any] = {}
        for name in self._order:
            settled[name] = frozen_value(config[name]) if self._matters(name, settled) else self.defaults[name]
        return {name: settled[name] for name in self.domains}

    def active(self, config: Mapping[str, Any]) -> set[str]:
        """Returns the settings whose conditions hold."""
        settled = self.canonical(config)
        return {name for name in self.domains if self._matters(name, settled)}

    def allowed(self, config: Mapping[str, Any]) -> bool:
        """Returns whether a configuration satisfies every constraint."""
        return all(constraint.holds(config) for constraint in self.constraints)

    def faults(self, point: Mapping[str, Any]) -> list[str]:
        """Returns what is wrong with a configuration that is to be tried.

        Names may be missing or unknown, values out of their range, values given to what is inactive, or constraints
        broken.
        """
        missing = [f"{name}: the point has no value for it" for name in self.domains if name not in point]
        unknown = [f"{name}: the point sets it, but it is not searched" for name in point if name not in self.domains]
        if missing:
            return missing + unknown
        outside = list(self._outside(point))
        if outside:
            return unknown + outside
        broken = [constraint for constraint in self.constraints if not constraint.holds(self.canonical(point))]
        return unknown + [f"constraint {constraint.text!r} does not hold" for constraint in broken]

    def encode(self, config: Mapping[str, Any]) -> NDArray[np.float64]:
        """Returns one latent number a setting, within ``bounds``; that of an inactive one is the middle."""
        active = self.active(config)
        return np.array([self._latent(name, config, name in active) for name in self.domains], dtype=np.float64)

    def decode(self, latents: Sequence[float] | NDArray[np.float64]) -> dict[str, Any]:
        """Returns the canonical configuration that latent numbers stand for; the inverse of ``encode``."""
        pairs = zip(self.domains.items(), latents, strict=True)
        return self.canonical({name: decode(domain, float(latent)) for (name, domain), latent in pairs})

    def bounds(self) -> NDArray[np.float64]:
        """Returns the lowest and highest latent number of each setting, as rows."""
        return np.array([bounds(domain) for domain in self.domains.values()], dtype=np.float64).reshape(-1, 2)

    def grid(self) -> list[dict[str, Any]] | None:
        """Returns every allowed configuration once; None where there are more than ``FINITE``."""
        return self._grid

    def untried(self, tried: set[str]) -> list[dict[str, Any]] | None:
        """Returns the configurations of a finite region that are not among ``tried``; None for one that is not finite.

        Args:
            tried: Configurations as ``spelled``.
        """
        grid = self.grid()
        if grid is None:
            return None
        return [config for config, text in zip(grid, self._spellings, strict=True) if text not in tried]

    @cached_property
    def _grid(self) -> list[dict[str, Any]] | None:
        partial: list[dict[str, Any]] = [{}]
        for place, name in enumerate(self._order):
            if count(self.domains[name]) > FINITE or len(partial) * count(self.domains[name]) > _LABOUR:
                return None
            known = set(self._order[: place + 1])
            due = [c for c in self.constraints if name in c.names and c.names <= known]
            grown: list[dict[str, Any]] = []
            for config in (wider for narrow in partial for wider in self._with(name, narrow)):
                if all(constraint.holds(config) for constraint in due):
                    grown.append(config)
                if len(grown) > FINITE:
                    return None
            partial = grown
        return [{name: config[name] for name in self.domains} for config in partial]

    @cached_property
    def _spellings(self) -> list[str]:
        return [spelled(config) for config in self._grid or ()]

    def _with(self, name: str, config: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yields a configuration of what comes before a setting with each value that the setting may have."""
        values = possible(self.domains[name]) if self._matters(name, config) else (self.defaults[name],)
        return ({**config, name: value} for value in values)

    def _matters(self, name: str, config: Mapping[str, Any]) -> bool:
        return name not in self._conditional or matters(name, self.domains, config)

    def _outside(self, point: Mapping[str, Any]) -> Iterator[str]:
        active = self.active(point)
        for name, domain in self.domains.items():
            value = frozen_value(point[name])
            if name in active and not contains(domain, value):
                yield f"{name}: {point[name]!r} is not {describe(domain)}"
            elif name not in active and not same_value(value, self.defaults[name]):
                yield f"{name}: {point[name]!r} is given for a setting that {only_when(domain)}"

    def _latent(self, name: str, config: Mapping[str, Any], active: bool) -> float:
        domain = self.domains[name]
        return encode(domain, config[name]) if active else sum(bounds(domain)) / 2

    def _check_names(self) -> None:
        named = {f"{name}.when": set(domain.when or ()) for name, domain in self.domains.items()}
        named |= {f"constraint {constraint.text!r}": set(constraint.names) for constraint in self.constraints}
        for place, names in named.items():
            if unknown := sorted(names - set(self.domains)):
                raise ValueError(f"{place}: {', '.join(unknown)} is not searched")
        if bare := sorted(self._conditional - set(self.defaults)):
            raise ValueError(f"{bare[0]}: has a condition and no default to train with where it does not hold")


def spelled(config: Mapping[str, Any]) -> str:
    """Returns a configuration as text that is equal for equal configurations; ``true`` is not 1."""
    return json.dumps(config, sort_keys=True)
