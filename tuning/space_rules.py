"""The rules that no section of a space file can check alone: settings against the recipe, and one against another.

Every rule is a generator over a typed space. Parts that are already known to be faulty are handed over as ``broken``
paths, and a rule that would speak about one of them keeps silent: a wrong value is reported once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pamfn.recipe import BRANCH_SETTINGS, check, is_whole, settings
from tuning.domains import ChoiceDomain, FloatDomain, contains, describe, ends, possible
from tuning.faults import UNSET, near_miss, nearest_or_all
from tuning.space_model import Space
from tuning.tasks import task_names
from tuning.yaml_lines import Path

MOST_MODALITIES = 3  # as in the paper
SHARED_BY_FEW = ("stages", "width")
"""Branch settings that may be searched as ranges all the same: a range of them has few members."""

DIVISORS = ("msfd_heads", "cmfd_heads", "head_reduction")


class Breach(NamedTuple):
    """A broken rule, before its line is known."""

    path: Path
    value: Any
    rule: str
    hint: str = ""


def name_breaches(tree: Mapping[str, Any]) -> Iterator[Breach]:
    """Yields each name under search, fixed or first that is no setting, or that is in two of them at odds.

    Args:
        tree: The file's plain values, so that a setting whose own value is faulty counts as well.
    """
    search, fixed, first = (_mapping(tree.get(section)) for section in ("search", "fixed", "first"))
    for section, names in (("search", search), ("fixed", fixed), ("first", first)):
        for name in names:
            if name not in settings():
                yield Breach((section, name), UNSET, "is not a setting of the training", _setting_like(name))
    for name in set(search) & set(fixed):
        hint = f"keep one; --set search.{name}=null stops searching it"
        yield Breach(("fixed", name), fixed[name], "is fixed, and the setting is searched as well", hint)
    for name in first:
        if name in settings() and name not in search:
            hint = near_miss(name, search) or "put it under fixed"
            yield Breach(("first", name), first[name], "is given for a setting that is not searched", hint)


def value_breaches(space: Space) -> Iterator[Breach]:
    """Yields each value that its setting does not allow."""
    for name, value in space.fixed.items():
        yield from _checked(name, value, ("fixed", name))
    for name, value in _mapping(space.first).items():
        yield from _checked(name, value, ("first", name))
    for name, domain in space.search.items():
        yield from _domain_breaches(name, domain)


def relation_breaches(space: Space, broken: Collection[Path]) -> Iterator[Breach]:
    """Yields each rule between several parts of a space that does not hold, silent about the broken parts."""

    def sound(*paths: Path) -> bool:
        return not any(touches(path, broken) for path in paths)

    yield from _branch_settings_are_choices(space)
    if sound(("data",)):
        yield from _one_source(space)
        if sound(("fixed", "fine_tuned"), ("preset",)):
            yield from modality_breaches(space, space.data.modalities)
    if sound(("preset",)):
        outside = _first_trial_inside(space)
        yield from (breach for breach in outside if sound(("search", breach.path[1]), ("first", breach.path[1])))
        if sound(*((section, name) for section in ("search", "fixed") for name in (*DIVISORS, "width"))):
            yield from _divisors_of_width(space)
    if sound(("fixed", "epochs"), ("search", "epochs"), ("scheduler",), ("data",)):
        yield from _epochs_and_rungs(space)
    if sound(("search",), ("budget", "trials")) and not space.search and space.budget.trials > 1:
        rule = "trials of one and the same configuration: nothing is searched"
        yield Breach(("budget", "trials"), space.budget.trials, rule, "set 1, or search something")


def touches(path: Path, broken: Collection[Path]) -> bool:
    """Returns whether a path lies in one of the broken parts of a space, or holds one."""
    return any(path[: len(part)] == part or part[: len(path)] == path for part in broken)


def recipe_breaches(space: Space) -> Iterator[Breach]:
    """Yields what the recipe itself finds wrong with the first trial as a whole."""
    try:
        space.recipe(space.first_point())
    except ValueError as error:
        yield Breach(("fixed",), UNSET, f"makes no sound training: {error}")


def epochs_breaches(space: Space, tasks: Sequence[str]) -> Iterator[Breach]:
    """Yields each task that a map of epochs lacks, and each entry that is no task."""
    epochs = space.value("epochs")
    if not isinstance(epochs, Mapping):
        return
    for name in epochs:
        if name not in tasks:
            yield Breach(("fixed", "epochs", name), UNSET, "is not a class of this study", nearest_or_all(name, tasks))
    absent = [task for task in tasks if task not in epochs]
    if absent:
        yield Breach(("fixed", "epochs"), UNSET, f"has no entry for {', '.join(absent)}", "give every class its epochs")


def grace_breaches(space: Space, tasks: Sequence[str]) -> Iterator[Breach]:
    """Yields a grace period longer than the budget that it is a part of."""
    epochs = space.value("epochs")
    budget = epochs.get(tasks[0]) if isinstance(epochs, Mapping) and tasks else epochs
    grace = space.scheduler.grace_epochs
    if space.scheduler.type == "asha" and isinstance(budget, int) and isinstance(grace, int) and grace > budget:
        rule = f"is more than the {budget} epochs of a whole training"
        yield Breach(("scheduler", "grace_epochs"), grace, rule, "judge earlier, or set scheduler.type to none")


def modality_breaches(space: Space, modalities: Sequence[str] | None) -> Iterator[Breach]:
    """Yields too few modalities, and fine-tuned ones that are not among them; None is not known yet."""
    if modalities is None:
        return
    if len(modalities) < 2:
        yield Breach(("data", "modalities"), list(modalities), "is too few to fuse", "name at least two")
    if len(modalities) > MOST_MODALITIES:
        yield Breach(("data", "modalities"), list(modalities), "is too many to fuse", "name two or three")
    searched = getattr(space.search.get("fine_tuned"), "values", None)
    path = ("search", "fine_tuned", "values") if searched else ("fixed", "fine_tuned")
    for name in dict.fromkeys(name for names in searched or [space.value("fine_tuned")] for name in names):
        if name not in modalities:
            rule = f"is fine-tuned but is not among the modalities {', '.join(modalities)}"
            yield Breach(path, name, rule, near_miss(name, modalities) or f"set {'.'.join(path)}")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _setting_like(name: str) -> str:
    """Returns the near miss of a setting, by its name or by a word of its description, such as the paper's K."""
    word = re.compile(rf"\b{re.escape(name.replace('_', ' '))}\b")
    described = [known for known, setting in settings().items() if word.search(setting.metadata["doc"])]
    return near_miss(name, settings()) or (f"did you mean `{described[0]}`?" if described else "")


def _checked(name: str, value: Any, path: Path) -> Iterator[Breach]:
    """Yields the faults of a value, split from the recipe's text ``name: value rule; hint``."""
    if name not in settings():
        return
    for text in check(name, value):
        where, message = text.split(": ", 1)
        inner = where.removeprefix(name).removeprefix(".")
        at = value[inner] if inner else value
        rule, _, hint = message.removeprefix(f"{at!r} ").partition("; ")
        yield Breach((*path, inner) if inner else path, at, rule, hint.replace("'", "`"))


def _domain_breaches(name: str, domain: Any) -> Iterator[Breach]:
    if name in settings() and isinstance(domain, FloatDomain) and is_whole(name):
        yield Breach(("search", name, "type"), "float", "draws fractions of a whole number", "write type: int")
        return
    for place, value in ends(domain).items():
        at: Path = ("search", name, "values", place) if isinstance(domain, ChoiceDomain) else ("search", name, place)
        yield from _checked(name, value, at)


def _branch_settings_are_choices(space: Space) -> Iterator[Breach]:
    for name, domain in space.search.items():
        if name in BRANCH_SETTINGS and name not in SHARED_BY_FEW and not isinstance(domain, ChoiceDomain):
            rule = "is a range, and pretrained branches depend on it: hardly two trials could share them"
            yield Breach(("search", name, "type"), domain.type, rule, "write {type: choice, values: [...]}")


def _one_source(space: Space) -> Iterator[Breach]:
    if space.data.path is not None and space.data.synthetic is not None:
        yield Breach(("data", "path"), space.data.path, "is given beside data.synthetic", "keep one source of data")


def _first_trial_inside(space: Space) -> Iterator[Breach]:
    changes = _mapping(space.first)
    for name, domain in space.search.items():
        if name not in settings():
            continue
        value = changes.get(name, space.preset_value(name))
        if contains(domain, value):
            continue
        if name in changes:
            yield Breach(("first", name), value, f"is outside the range that is searched, {describe(domain)}")
        else:
            rule = f"({describe(domain)}) leaves out the {space.preset} preset's {value}, which is the first trial"
            yield Breach(("search", name), UNSET, rule, f"widen it, or name a first trial: first: {{{name}: ...}}")


def _divisors_of_width(space: Space) -> Iterator[Breach]:
    for name in DIVISORS:
        if name == "head_reduction" and 2 not in _possible(space, "head_layers"):
            continue
        pairs = ((n, w) for n in _possible(space, name) for w in _possible(space, "width") if w % n)
        if pair := next(pairs, None):
            subject = name if name in space.search or name in space.fixed else "width"
            path = ("search" if subject in space.search else "fixed", subject)
            rule = f"allows {name} {pair[0]} with width {pair[1]}, which it does not divide"
            yield Breach(path, UNSET, rule, "let every value divide every width")


def _possible(space: Space, name: str) -> tuple[Any, ...]:
    return possible(space.search[name]) if name in space.search else (space.value(name),)


def _epochs_and_rungs(space: Space) -> Iterator[Breach]:
    if "epochs" in space.search:
        if space.scheduler.type == "asha":
            rule = "is searched, and asha compares trials at shares of one budget"
            yield Breach(("search", "epochs"), UNSET, rule, "fix it, or set scheduler.type to none")
        return
    tasks: tuple[str, ...] = ()
    if space.data.action and space.data.score:
        tasks = task_names(space.data.action, space.data.score)
        yield from epochs_breaches(space, tasks)
    yield from grace_breaches(space, tasks)
