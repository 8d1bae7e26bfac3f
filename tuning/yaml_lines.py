"""YAML as plain values that remember their lines: for messages that say where a fault is.

The dialect is the core of YAML 1.2, so that a value is what it looks like: ``5e-4`` is a number (YAML 1.1 reads a
word), ``no`` and ``on`` are words (YAML 1.1 reads false and true), ``4`` is an int and ``4.0`` a float. Keys are
the text as written. Aliases and tags are refused: a space file is read by people, and trusted by nobody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from tuning.faults import UNSET, Fault

Path = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_SCALARS = {
    "null": (r"~|null|Null|NULL|", "~nN\0"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]{1,18}", "-+0123456789"),  # longer ones are read as floats
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
}


_TAGS = {_TAG + kind for kind in (*_SCALARS, "str", "map", "seq")}


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not read; write the value again", mark)
        return super().compose_node(parent, index)


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers: dict[str, Any] = {}

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _kind, (_pattern, _first) in _SCALARS.items():
    _firsts = ["" if c == "\0" else c for c in _first]
    for _dialect in (_Loader, _Dumper):
        _dialect.add_implicit_resolver(_TAG + _kind, re.compile(f"^(?:{_pattern})$"), _firsts)


@dataclass
class Document:
    """Plain values, the line of every path in them, and what was wrong on the way.

    ``lines`` holds an option's name instead of a line for values that did not come from the file.
    """

    value: Any = None
    lines: dict[Path, int | str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line(self, path: Path) -> int | str:
        """Returns the line of a path, or of its nearest ancestor that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def dotted(path: Path) -> str:
    """Returns a path as text: ``("search", "lr", "values", 0)`` is ``search.lr.values[0]``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def parse(text: str) -> Document:
    """Returns the values of a YAML text; faults of syntax, tags and duplicate keys are in ``faults``."""
    document = Document()
    try:
        node = yaml.compose(text, Loader=_Loader)
    except RecursionError:
        document.faults.append(Fault(1, "", UNSET, "values are nested too deep to be a space file"))
    except yaml.MarkedYAMLError as error:
        document.faults.extend(_syntax_faults(text, error))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        document.faults.append(
            Fault(line, "", UNSET, f"character {error.character:#04x} does not belong in a text file")
        )
    else:
        built = None if node is None else _build(node, (), document)
        document.value = None if built is UNSET else built
    return document


def dump(value: Any) -> str:
    """Returns plain values as a text that ``parse`` reads back as the same values."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def _syntax_faults(text: str, error: yaml.MarkedYAMLError) -> list[Fault]:
    tabbed = [number for number, line in enumerate(text.splitlines(), 1) if re.match(r" *\t", line)]
    if tabbed:
        return [Fault(n, "", UNSET, "a tab; YAML indents with spaces") for n in tabbed]
    mark = error.problem_mark or error.context_mark
    return [Fault(mark.line + 1 if mark else 1, "", UNSET, f"not YAML: {error.problem or error.context}")]


def _build(node: yaml.Node, path: Path, document: Document) -> Any:
    """Returns the value of a node, or UNSET where it is refused: its fault is enough, nothing else looks at it."""
    document.lines.setdefault(path, node.start_mark.line + 1)
    if node.tag not in _TAGS:
        document.faults.append(
            Fault(document.line(path), dotted(path), UNSET, f"has the tag {node.tag}", "write plain values")
        )
        return UNSET
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, document)
    if isinstance(node, yaml.SequenceNode):
        built = [_build(item, (*path, i), document) for i, item in enumerate(node.value)]
        return [item for item in built if item is not UNSET]
    return _scalar(node.tag.removeprefix(_TAG), node.value, path, document)


def _mapping(node: yaml.MappingNode, path: Path, document: Document) -> dict[str, Any]:
    built: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            document.faults.append(Fault(line, dotted(path), UNSET, "a key must be a word, not a list or mapping"))
            continue
        at = (*path, key_node.value)
        if at in document.lines:
            rule = f"is a second time here; the first is on line {document.lines[at]}"
            document.faults.append(Fault(line, dotted(at), UNSET, rule, "keep one"))
            continue
        document.lines[at] = line
        if (value := _build(value_node, at, document)) is not UNSET:
            built[key_node.value] = value
    return built


def _scalar(kind: str, text: str, path: Path, document: Document) -> Any:
    if kind == "str":
        return text
    if kind == "null":
        return None
    if not re.fullmatch(_SCALARS[kind][0], text):
        document.faults.append(Fault(document.line(path), dotted(path), text, f"is tagged {kind} and is none"))
        return UNSET
    if kind == "bool":
        return text.lower() == "true"
    return int(text) if kind == "int" else float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
