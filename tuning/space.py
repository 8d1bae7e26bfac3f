"""Space files: one study in one YAML file, read into typed values, with every fault reported at once.

    space = load_space("rg.yaml", sets=["budget.trials=10", "search.lr.high=0.01"])

A file is looked up as given, then among the packaged ``search_spaces``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tuning import yaml_lines
from tuning.divisor_rules import divisor_breaches
from tuning.faults import UNSET, Fault, SpaceError, near_miss
from tuning.name_rules import name_breaches
from tuning.point_rules import point_breaches
from tuning.region import Region
from tuning.region_rules import condition_breaches, region_breaches, sound_constraints, sound_region
from tuning.space_faults import breach_of
from tuning.space_model import Space
from tuning.space_options import Option, apply, option_of_set
from tuning.space_rules import Breach, recipe_breaches, relation_breaches, value_breaches
from tuning.yaml_lines import Document

__all__ = ["Draft", "Fault", "Option", "Space", "SpaceError", "found_space", "load_space", "read_space"]

LARGEST = 1_000_000  # bytes; a space file is a page or two
HOISTED = ("clip", "padding", "standardise", "target")
"""Settings of the training that may be written under ``data`` as well as under ``fixed``."""

_BY_PARTS = ("search", "fixed", "first", "constraints", "points")


@dataclass(frozen=True)
class Draft:
    """A space file as far as it is sound, with what is wrong in it.

    Args:
        space: The sound parts; faulty ones have their defaults.
        faults: Everything that is wrong; empty for a space that can be launched.
        broken: The paths of the faulty parts.
        document: The lines of the file, by path.
    """

    space: Space
    faults: tuple[Fault, ...]
    broken: frozenset[yaml_lines.Path]
    document: Document

    def checked(self) -> Space:
        """Returns the space.

        Raises:
            SpaceError: If anything is wrong in it.
        """
        if self.faults:
            raise SpaceError(self.space.source, self.faults)
        return self.space

    def fault(self, breach: Breach) -> Fault:
        """Returns a breach of a rule with its place in the file."""
        return _placed(breach, self.document)


def load_space(path: str | Path, sets: Sequence[str] = (), options: Sequence[Option] = ()) -> Space:
    """Returns a space file as typed values.

    Args:
        path: The file, looked up as given and then among the packaged spaces.
        sets: Changes as ``key=value``, such as ``search.lr.high=0.01``; a null below ``search`` stops searching.
        options: Changes that came by other options than ``--set``, applied after those.

    Raises:
        SpaceError: If the file cannot be read or breaks a rule; its ``faults`` are all of them.
    """
    return read_space(path, sets, options).checked()


def read_space(path: str | Path, sets: Sequence[str] = (), options: Sequence[Option] = ()) -> Draft:
    """Returns a space file with its faults, for callers that have more to check; see ``load_space``.

    Raises:
        SpaceError: If there is nothing to go on with: no such file, not text, not YAML, not a mapping.
    """
    found = found_space(path)
    document = yaml_lines.parse(_text(found, str(path)))
    if not isinstance(document.value, dict):
        raise SpaceError(str(path), document.faults or [_not_a_mapping(document.value)])
    changes = [*map(option_of_set, sets), *options]
    for change in changes:
        apply(change, document)
    _hoist(document)
    return _draft(document, str(path))


def _draft(document: Document, source: str) -> Draft:
    tree = {key: value for key, value in document.value.items() if value is not None}
    breaches = [] if "version" in tree else [Breach((), UNSET, "version is missing", "write version: 1")]
    breaches += name_breaches(tree)
    space, structural = _typed(tree)
    breaches += structural
    breaches += value_breaches(space)
    breaches += condition_breaches(space, _parts(breaches))
    broken = _parts(breaches)
    space = _sound_settings(space, broken)
    breaches += relation_breaches(space, broken)
    if ("preset",) not in broken:
        breaches += _region_breaches(space, broken)
    if not breaches and not document.faults:
        breaches += recipe_breaches(space)
    faults = (*document.faults, *(_placed(breach, document) for breach in breaches))
    space._source = source
    return Draft(space, faults, frozenset(broken), document)


def _region_breaches(space: Space, broken: Collection[yaml_lines.Path]) -> list[Breach]:
    """Returns what is wrong with the search as a whole, and with the configurations that the file names."""
    region = sound_region(space, broken)
    found = list(region_breaches(space, region, broken))
    told = {breach.path for breach in found}  # the first trial need not break these as well
    left = [c for i, c in sound_constraints(space, region.domains, broken) if ("constraints", i) not in told]
    region = Region(region.domains, region.defaults, () if ("constraints",) in told else left)
    return [*found, *divisor_breaches(space, region, broken), *point_breaches(space, region, broken)]


def _typed(tree: dict[str, Any]) -> tuple[Space, list[Breach]]:
    """Returns the sound parts of a tree as a space, and what is wrong in the others."""
    try:
        return Space.model_validate(tree), []
    except ValidationError as error:
        breaches = [breach_of(detail) for detail in error.errors(include_url=False)]
    return Space.model_validate(_without(tree, [breach.path for breach in breaches])), breaches


def _without(tree: dict[str, Any], paths: Collection[yaml_lines.Path]) -> dict[str, Any]:
    """Returns a tree without the parts that hold one of these paths."""
    parts = set(map(_part, paths))
    kept = {key: value for key, value in tree.items() if (key,) not in parts}
    if "search" in kept:
        kept["search"] = {name: domain for name, domain in kept["search"].items() if ("search", name) not in parts}
    for key, nothing in (("constraints", ""), ("points", {})):
        if isinstance(items := kept.get(key), list):  # the others keep their places
            kept[key] = [nothing if (key, place) in parts else item for place, item in enumerate(items)]
    return kept


def _sound_settings(space: Space, broken: Collection[yaml_lines.Path]) -> Space:
    """Returns a space without the settings of the training that are broken."""

    def kept(section: str, names: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in names.items() if (section, name) not in broken}

    first = space.first if space.first == "paper" else kept("first", space.first)
    changes = {"search": kept("search", space.search), "fixed": kept("fixed", space.fixed), "first": first}
    return space.model_copy(update=changes)


def _parts(breaches: Collection[Breach]) -> set[yaml_lines.Path]:
    return {_part(breach.path) for breach in breaches if breach.path}


def _part(path: yaml_lines.Path) -> yaml_lines.Path:
    """Returns the part of a space that stands or falls with a path: a section, or one setting or item of it."""
    return path[:2] if path[0] in _BY_PARTS else path[:1]


def _placed(breach: Breach, document: Document) -> Fault:
    path = breach.path
    if path[:1] == ("fixed",) and ("data", *path[1:]) in document.lines and path not in document.lines:
        path = ("data", *path[1:])
    if path == ("fixed", "model") and path not in document.lines:
        path = ("model",)
    return Fault(document.line(path), yaml_lines.dotted(path), breach.value, breach.rule, breach.hint)


def _hoist(document: Document) -> None:
    """Moves the model, and the settings written under ``data``, to ``fixed``, where a space keeps them."""
    data, fixed = document.value.get("data") or {}, document.value.get("fixed") or {}
    if not isinstance(data, dict) or not isinstance(fixed, dict):
        return
    if "model" in document.value:
        model = document.value.pop("model")
        if "model" in fixed:
            rule = "is set at the top and under fixed"
            document.faults.append(Fault(document.line(("model",)), "model", model, rule, "keep one"))
        elif model is not None:
            fixed["model"] = model
    for name in HOISTED:
        if name in data and name in fixed:
            rule = "is set under data and under fixed"
            document.faults.append(
                Fault(document.line(("data", name)), f"data.{name}", data.pop(name), rule, "keep one")
            )
        elif name in data:
            fixed[name] = data.pop(name)
    if fixed:
        document.value["fixed"] = fixed


def found_space(path: str | Path) -> Path:
    """Returns the file that a path means: as given, or else among the packaged spaces.

    Raises:
        SpaceError: If there is none.
    """
    given = Path(path)
    packaged = Path(str(files("search_spaces")))
    try:
        for candidate in (given, packaged / given):
            if candidate.exists():
                return candidate
    except OSError as error:
        rule = f"the file cannot be looked up: {error.strerror}"
        raise SpaceError(str(path), [Fault("--space", "", UNSET, rule)]) from error
    known = sorted({file.name for folder in (given.parent, packaged) for file in _spaces_in(folder)})
    hint = (
        near_miss(given.name, known) or f"packaged spaces are {', '.join(file.name for file in _spaces_in(packaged))}"
    )
    raise SpaceError(
        str(path), [Fault("--space", "", UNSET, f"there is no file {given} here or in search_spaces/", hint)]
    )


def _spaces_in(folder: Path) -> Iterator[Path]:
    return iter(sorted(folder.glob("*.yaml"))) if folder.is_dir() else iter(())


def _text(found: Path, source: str) -> str:
    try:
        content = found.read_bytes() if found.stat().st_size <= LARGEST else None
    except OSError as error:
        raise SpaceError(source, [Fault("--space", "", UNSET, f"the file cannot be read: {error.strerror}")]) from error
    if content is None:
        rule = f"the file is larger than {LARGEST:,} bytes and cannot be a space file"
        raise SpaceError(source, [Fault("--space", "", UNSET, rule)])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        rule = f"not a text file: byte {content[error.start]:#04x} is not UTF-8"
        raise SpaceError(source, [Fault(line, "", UNSET, rule)]) from error


def _not_a_mapping(value: Any) -> Fault:
    if value is None:
        return Fault(1, "", UNSET, "the file is empty", "a space has at least version, data and search")
    kind = "a list" if isinstance(value, list) else "a single value"
    return Fault(1, "", UNSET, f"the file holds {kind}, not a mapping", "write key: value lines, version: 1 first")
