"""Changes to a space file from the command line: ``--set search.lr.high=0.01`` and options that stand for such."""

from __future__ import annotations

from typing import Any, NamedTuple

from pamfn.catalogue import name_faults
from tuning import yaml_lines
from tuning.faults import UNSET, Fault, near_miss
from tuning.yaml_lines import Document

SETTINGS = ("search", "fixed", "first")
"""The sections whose keys are settings of a training, or a model's own, which are named ``<model>.<option>``."""


class Option(NamedTuple):
    """One value given beside the file.

    Args:
        name: The option it came by, such as ``--num-samples``; faults name it instead of a line.
        key: Where it goes, as a dotted path.
        value: The value; None below ``search`` takes the setting out of the search.
        faults: What was wrong in writing it; such an option changes nothing.
    """

    name: str
    key: str
    value: Any
    faults: tuple[Fault, ...] = ()


def option_of_set(text: str) -> Option:
    """Returns ``key=value`` of one ``--set`` as an option, the value read as YAML."""
    key, equals, written = text.partition("=")
    key = key.strip()
    if not equals or not all(key.split(".")):
        rule = "is not key=value with a dotted key"
        return Option("--set", "", None, (Fault("--set", "", text, rule, "write for example --set fixed.lr=0.001"),))
    document = yaml_lines.parse(written)
    faults = tuple(Fault("--set", key, written, fault.rule, fault.hint) for fault in document.faults)
    return Option("--set", key, document.value, faults)


def apply(option: Option, document: Document) -> None:
    """Puts an option's value in its place in a document; what prevents it becomes a fault of the document."""
    document.faults.extend(option.faults)
    if option.faults:
        return
    *parents, last = _parts(option.key)
    branch: Any = document.value
    for depth, part in enumerate(parents):
        if branch.get(part) is None:
            branch[part] = {}
            _mark(document, tuple(parents[: depth + 1]), option.name)
        branch = branch[part]
        if not isinstance(branch, dict):
            path = ".".join(parents[: depth + 1])
            document.faults.append(Fault(option.name, option.key, UNSET, f"cannot be set: {path} is not a mapping"))
            return
    if option.value is None and parents == ["search"]:
        _stop_searching(option, last, branch, document)
    else:
        branch[last] = option.value
        _mark(document, (*parents, last), option.name)


def _parts(key: str) -> list[str]:
    """Returns the keys that lead to a value; a model's own option, such as ``gdlt.queries``, is one key."""
    section, *parts = key.split(".")
    if section in SETTINGS and len(parts) > 1 and not name_faults(parts[0]):
        parts[:2] = [".".join(parts[:2])]
    return [section, *parts]


def _stop_searching(option: Option, name: str, search: dict[str, Any], document: Document) -> None:
    if name not in search:
        document.faults.append(Fault(option.name, option.key, UNSET, "is not searched", near_miss(name, search)))
    search.pop(name, None)
    points = document.value.get("points")
    for point in (document.value.get("first"), *(points if isinstance(points, list) else ())):
        if isinstance(point, dict):
            point.pop(name, None)


def _mark(document: Document, path: yaml_lines.Path, name: str) -> None:
    """Makes faults at and below a path name the option instead of a line of the file."""
    for below in [known for known in document.lines if known[: len(path)] == path]:
        del document.lines[below]
    document.lines[path] = name
