"""Pydantic's findings in the words of a space file: the path as written, a rule that follows the value, a near miss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from pamfn.recipe import settings
from tuning.domains import ChoiceDomain, FloatDomain, IntDomain
from tuning.faults import UNSET, near_miss
from tuning.space_model import Space
from tuning.space_rules import Breach
from tuning.yaml_lines import Path

_DOMAINS: dict[str, type[BaseModel]] = {"int": IntDomain, "float": FloatDomain, "choice": ChoiceDomain}
_RULES = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be text; quote it if it looks like a number",
    "dict_type": "must be a mapping (name: value)",
    "model_type": "must be a mapping (name: value)",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be above {gt}",
    "literal_error": "must be {expected}",
}


def breach_of(detail: ErrorDetails) -> Breach:
    """Returns one finding of ``Space.model_validate`` as a breach of a space's rules."""
    path, kind, value = _path(detail["loc"]), detail["type"], detail["input"]
    context: dict[str, Any] = detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(detail["loc"], path)
    if kind == "missing":
        return Breach(path, UNSET, "is missing")
    if kind.startswith("union_tag") or kind == "model_attributes_type":
        return _domain_type(path, value)
    if kind == "value_error":
        return Breach(path, value, str(context["error"]))
    rule = _RULES[kind].format(**context) if kind in _RULES else detail["msg"]
    near = near_miss(str(value), _words(str(context.get("expected", ""))))
    return Breach(path, value, rule, near)


def _path(location: tuple[str | int, ...]) -> Path:
    """Returns pydantic's location without the tag that it puts behind a searched setting's name."""
    inside_domain = location[0] == "search" and len(location) > 2 and location[2] in _DOMAINS
    return (*location[:2], *location[3:]) if inside_domain else tuple(location)


def _domain_type(path: Path, value: Any) -> Breach:
    if not isinstance(value, Mapping):
        hint = f"to hold it still: fixed: {{{path[-1]}: {value}}}"
        return Breach(path, value, "must be a mapping such as {type: float, low: 0.001, high: 0.1}", hint)
    if "type" not in value:
        return Breach((*path, "type"), UNSET, "is missing", "write type: int, float or choice")
    near = near_miss(str(value["type"]), _DOMAINS)
    return Breach((*path, "type"), value["type"], "must be int, float or choice", near)


def _unknown_key(location: tuple[str | int, ...], path: Path) -> Breach:
    known, key = _keys_at(location[:-1]), str(path[-1])
    hint = near_miss(key, known)
    if not hint and key in settings():
        hint = "it is a setting of the training: put it under search or fixed"
    return Breach(path, UNSET, "is no key here", hint or f"known: {', '.join(known)}")


def _keys_at(location: tuple[str | int, ...]) -> list[str]:
    """Returns the keys that a section of a space may have."""
    model: type[BaseModel] = Space
    if location[:1] == ("search",):
        model = _DOMAINS[str(location[2])]
    else:
        for part in location:
            annotation = model.model_fields[str(part)].annotation
            model = next(kind for kind in (annotation, *get_args(annotation)) if _is_model(kind))
    return list(model.model_fields)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _words(expected: str) -> list[str]:
    return [word.strip("' ") for word in expected.replace(" or ", ",").split(",")]
