"""The rules of names: which settings a space file may speak of, and where."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pamfn.presets import PRESETS
from pamfn.recipe import default_of, is_setting, own_options, settings
from tuning import constraints
from tuning.faults import UNSET, near_miss
from tuning.space_rules import Breach, mapping
from tuning.yaml_lines import Path

_EXAMPLE = "lr < 1e-3 or tau_init > 2"


def name_breaches(tree: Mapping[str, Any]) -> Iterator[Breach]:
    """Yields each name of a setting that is none, or that stands where it can have no meaning.

    Args:
        tree: The file's plain values, so that a setting whose own value is faulty counts as well.
    """
    search, fixed = mapping(tree.get("search")), mapping(tree.get("fixed"))
    for section, names in (("search", search), ("fixed", fixed)):
        for name in names:
            if not is_setting(name):
                yield Breach((section, name), UNSET, "is not a setting of the training", _setting_like(name))
    for name in set(search) & set(fixed):
        hint = f"keep one; --set search.{name}=null stops searching it"
        yield Breach(("fixed", name), fixed[name], "is fixed, and the setting is searched as well", hint)
    yield from _names_of_point(("first",), tree.get("first"), search)
    for place, point in enumerate(_list(tree.get("points"))):
        yield from _names_of_point(("points", place), point, search)
    for name, domain in search.items():
        yield from _names_of_condition(("search", name, "when"), mapping(domain).get("when"), search)
    for place, text in enumerate(_list(tree.get("constraints"))):
        yield from _names_of_constraint(("constraints", place), text, tree)


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else ()


def _names_of_point(path: Path, point: Any, search: Mapping[str, Any]) -> Iterator[Breach]:
    for name, value in mapping(point).items():
        if not is_setting(name):
            yield Breach((*path, name), UNSET, "is not a setting of the training", _setting_like(name))
        elif name not in search:
            hint = near_miss(name, search) or "put it under fixed"
            yield Breach((*path, name), value, "is given for a setting that is not searched", hint)


def _names_of_condition(path: Path, when: Any, search: Mapping[str, Any]) -> Iterator[Breach]:
    for parent in mapping(when):
        if parent not in search:
            yield Breach((*path, parent), UNSET, *_not_searched(parent, search))


def _names_of_constraint(path: Path, text: Any, tree: Mapping[str, Any]) -> Iterator[Breach]:
    """Yields what makes a text no constraint on searched settings."""
    if not isinstance(text, str):
        return
    try:
        names = constraints.parse(text).names
    except ValueError as error:
        yield Breach(path, text, str(error), "" if "; " in str(error) else f"write for example {_EXAMPLE}")
        return
    search = mapping(tree.get("search"))
    for name in sorted(names - set(search)):
        rule, hint = _not_searched(name, search)
        value = _held(name, tree)
        yield Breach(path, text, f"names {name}, which {rule}", hint if value is None else f"write its value, {value}")


def _held(name: str, tree: Mapping[str, Any]) -> Any:
    """Returns the number or the word that a setting is fixed at; None for other values, and for what is no setting."""
    if not is_setting(name):
        return None
    preset = str(tree.get("preset"))
    value = mapping(tree.get("fixed")).get(name, default_of(name, preset if preset in PRESETS else "paper"))
    return json.dumps(value) if isinstance(value, (bool, int, float, str)) else None


def _not_searched(name: str, search: Mapping[str, Any]) -> tuple[str, str]:
    """Returns the rule and the way out for a name that should be that of a searched setting."""
    if is_setting(name):
        return "is not searched", near_miss(name, search) or "search it, or leave it out here"
    return "is not a setting of the training", near_miss(name, search) or _setting_like(name)


def _setting_like(name: str) -> str:
    """Returns the near miss of a setting, by its name or by a word of its description, such as the paper's K."""
    if "." in name and (own := own_options(name.partition(".")[0])):
        return near_miss(name, [option for option, _ in own])
    word = re.compile(rf"\b{re.escape(name.replace('_', ' '))}\b")
    described = [known for known, setting in settings().items() if word.search(setting.metadata["doc"])]
    return near_miss(name, settings()) or (f"did you mean `{described[0]}`?" if described else "")
