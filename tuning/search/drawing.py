"""Drawing configurations from a space: each searched setting as one latent number, and the finite spaces counted."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tuning.domains import ChoiceDomain, Domain, IntDomain, contains, describe, frozen_value, possible, same_value

_ENUMERABLE = 5000  # configurations; larger spaces are as good as infinite to a study


def draw(domains: Mapping[str, Domain], generator: np.random.Generator) -> dict[str, Any]:
    """Returns a configuration drawn independently and evenly (over magnitudes where ``log``) from every domain."""
    return {name: decode(domain, generator.uniform(*bounds(domain))) for name, domain in domains.items()}


def bounds(domain: Domain) -> tuple[float, float]:
    """Returns the interval of a domain's latent number: the index of a choice, or the number or its logarithm.

    A whole number owns the half-open interval around it, so that its ends are as likely as the rest.
    """
    if isinstance(domain, ChoiceDomain):
        return 0.0, float(len(domain.values))
    margin = 0.5 if isinstance(domain, IntDomain) else 0.0
    low, high = domain.low - margin, domain.high + margin
    return (math.log(low), math.log(high)) if domain.log else (low, high)


def decode(domain: Domain, latent: float) -> Any:
    """Returns the value that a latent number stands for: an int, a float or one of the values, never an index."""
    if isinstance(domain, ChoiceDomain):
        return domain.values[min(int(latent), len(domain.values) - 1)]
    value = math.exp(latent) if domain.log else latent
    rounded = round(value) if isinstance(domain, IntDomain) else _legible(value, domain.low, domain.high)
    inside = min(max(rounded, domain.low), domain.high)
    return int(inside) if isinstance(domain, IntDomain) else float(inside)


def _legible(value: float, low: float, high: float) -> float:
    """Returns a number of four significant digits, more where the range is so narrow that they would not tell it apart.

    People read, quote and retype these values: 0.001768, not 0.0017681193447296423.
    """
    share = (high - low) / max(abs(low), abs(high))
    digits = 4 + max(0, math.floor(-math.log10(share))) if share > 0 else 17
    return float(f"{value:.{digits}g}")


def encode(domain: Domain, value: Any) -> float:
    """Returns the latent number of a value; the inverse of ``decode``."""
    if isinstance(domain, ChoiceDomain):
        return float(next(index for index, member in enumerate(domain.values) if same_value(member, value)))
    return math.log(value) if domain.log else float(value)


def untried(domains: Mapping[str, Domain], tried: set[str]) -> list[dict[str, Any]] | None:
    """Returns the configurations of a finite space that are not among ``tried``; None for one that is not finite.

    Args:
        domains: The searched settings.
        tried: Configurations as ``spelled``.
    """
    if math.prod(map(_count, domains.values())) > _ENUMERABLE:
        return None
    return [config for config in _all(domains) if spelled(config) not in tried]


def spelled(config: Mapping[str, Any]) -> str:
    """Returns a configuration as text that is equal for equal configurations; ``true`` is not 1."""
    return json.dumps(config, sort_keys=True)


def faults_of_point(domains: Mapping[str, Domain], point: Mapping[str, Any]) -> list[str]:
    """Returns what is wrong with a configuration that is to be tried: names missing or unknown, values out of range."""
    missing = [f"{name}: the point has no value for it" for name in domains if name not in point]
    unknown = [f"{name}: the point sets it, but it is not searched" for name in point if name not in domains]
    outside = [
        f"{name}: {point[name]!r} is not {describe(domain)}"
        for name, domain in domains.items()
        if name in point and not contains(domain, frozen_value(point[name]))
    ]
    return missing + unknown + outside


def _count(domain: Domain) -> float:
    if isinstance(domain, ChoiceDomain):
        return len(domain.values)
    return domain.high - domain.low + 1 if isinstance(domain, IntDomain) else math.inf


def _all(domains: Mapping[str, Domain]) -> Iterator[dict[str, Any]]:
    return (dict(zip(domains, values, strict=True)) for values in itertools.product(*map(possible, domains.values())))
