"""The values that one searched setting may take: an interval of ints or floats, or a choice among values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
)

_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)
_ENUMERABLE = 5000  # values; the widest range of whole numbers that is checked value by value


def _positive_for_log(low: float, info: ValidationInfo) -> float:
    if info.data.get("log") and low <= 0:
        raise ValueError("must be above 0 where log is true")
    return low


def _above_low(high: float, info: ValidationInfo) -> float:
    if high <= info.data.get("low", -math.inf):
        raise ValueError(f"must be above low {info.data['low']!r}")
    return high


def _distinct(values: Any) -> tuple[Any, ...]:
    if not isinstance(values, (list, tuple)):
        raise ValueError("must be a list")
    if not values:
        raise ValueError("holds no value; name at least one")
    for index, value in enumerate(values):
        if any(same_value(value, earlier) for earlier in values[:index]):
            raise ValueError(f"names {value!r} twice; keep one")
    return tuple(map(frozen_value, values))


def _conditions(when: Any) -> dict[str, Any] | None:
    if when is not None and (not isinstance(when, Mapping) or not when):
        raise ValueError("must be a mapping such as {head_layers: 2}, from a searched setting to its value or values")
    return None if when is None else {name: frozen_value(value) for name, value in when.items()}


class _Searched(BaseModel):
    """What every domain has: ``when`` names other searched settings, and the values that make this one matter.

    Where they have other values this setting is inactive: it is not searched, and trains with its preset's value.
    """

    model_config = _STRICT
    when: Annotated[dict[str, Any] | None, BeforeValidator(_conditions)] = None

    @model_serializer(mode="wrap")
    def _with_its_condition_last(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        when = values.pop("when")
        return values if when is None else {**values, "when": when}


class IntDomain(_Searched):
    """Whole numbers from ``low`` to ``high``, both included; ``log`` spreads them evenly over magnitudes."""

    type: Literal["int"]
    log: bool = False
    low: Annotated[int, AfterValidator(_positive_for_log)]
    high: Annotated[int, AfterValidator(_above_low)]


class FloatDomain(_Searched):
    """Numbers between ``low`` and ``high``; ``log`` spreads them evenly over magnitudes."""

    type: Literal["float"]
    log: bool = False
    low: Annotated[float, Field(allow_inf_nan=False), AfterValidator(_positive_for_log)]
    high: Annotated[float, Field(allow_inf_nan=False), AfterValidator(_above_low)]


class ChoiceDomain(_Searched):
    """One of ``values``, in no order."""

    type: Literal["choice"]
    values: Annotated[tuple[Any, ...], BeforeValidator(_distinct)]


Domain = IntDomain | FloatDomain | ChoiceDomain


def contains(domain: Domain, value: Any) -> bool:
    """Returns whether a value lies in a domain; a float is no member of a domain of ints."""
    if isinstance(domain, ChoiceDomain):
        return any(same_value(value, member) for member in domain.values)
    numbers = int if isinstance(domain, IntDomain) else (int, float)
    return isinstance(value, numbers) and not isinstance(value, bool) and domain.low <= value <= domain.high


def describe(domain: Domain) -> str:
    """Returns a domain in words, such as ``4 to 12`` or ``one of 2, 3, 4``."""
    if isinstance(domain, ChoiceDomain):
        return f"one of {', '.join(map(str, domain.values))}"
    return f"{domain.low:g} to {domain.high:g}"


def ends(domain: Domain) -> dict[str | int, Any]:
    """Returns the values whose soundness makes the whole domain sound, by their place below the domain."""
    if isinstance(domain, ChoiceDomain):
        return dict(enumerate(domain.values))
    return {"low": domain.low, "high": domain.high}


def possible(domain: Domain) -> tuple[Any, ...]:
    """Returns every value of a choice or of a range of ints (its ends alone, where it is very wide or continuous)."""
    if isinstance(domain, ChoiceDomain):
        return domain.values
    if isinstance(domain, IntDomain) and domain.high - domain.low < _ENUMERABLE:
        return tuple(range(domain.low, domain.high + 1))
    return (domain.low, domain.high)


def same_value(one: Any, other: Any) -> bool:
    """Returns whether two values are the same setting: lists equal tuples, but ``true`` is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(frozen_value(one) == frozen_value(other))


def frozen_value(value: Any) -> Any:
    """Returns a value with its lists as tuples, the form that a recipe holds."""
    if isinstance(value, Mapping):
        return {key: frozen_value(item) for key, item in value.items()}
    return tuple(map(frozen_value, value)) if isinstance(value, (list, tuple)) else value
