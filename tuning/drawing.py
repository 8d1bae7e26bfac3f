"""Each searched setting as one latent number, so that a searcher sees a cuboid of numbers and nothing else."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tuning.domains import ChoiceDomain, Domain, IntDomain, same_value


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


def draw(domain: Domain, generator: np.random.Generator) -> Any:
    """Returns a value drawn evenly from a domain, over magnitudes where ``log``."""
    return decode(domain, generator.uniform(*bounds(domain)))


def encode(domain: Domain, value: Any) -> float:
    """Returns the latent number of a value; the inverse of ``decode``."""
    if isinstance(domain, ChoiceDomain):
        return float(next(index for index, member in enumerate(domain.values) if same_value(member, value)))
    return math.log(value) if domain.log else float(value)


def count(domain: Domain) -> float:
    """Returns how many values a domain has; infinitely many if it is an interval of floats."""
    if isinstance(domain, ChoiceDomain):
        return len(domain.values)
    return domain.high - domain.low + 1 if isinstance(domain, IntDomain) else math.inf


def _legible(value: float, low: float, high: float) -> float:
    """Returns a number of four significant digits, more where the range is so narrow that they would not tell it apart.

    People read, quote and retype these values: 0.001768, not 0.0017681193447296423.
    """
    share = (high - low) / max(abs(low), abs(high))
    digits = 4 + max(0, math.floor(-math.log10(share))) if share > 0 else 17
    return float(f"{value:.{digits}g}")
