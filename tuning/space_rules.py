"""The rules that no section of a space file can check alone: settings against the recipe, and one against another.

Every rule is a generator over a typed space. Parts that are already known to be faulty are handed over as ``broken``
paths, and a rule that would speak about one of them keeps silent: a wrong value is reported once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pamfn.catalogue import model_of, streams_named
from pamfn.recipe import BRANCH_SETTINGS, check, is_setting, is_whole
from tuning.domains import ChoiceDomain, FloatDomain, ends
from tuning.faults import UNSET, near_miss, nearest_or_all
from tuning.space_model import Space
from tuning.tasks import task_names
from tuning.yaml_lines import Path

MOST_MODALITIES = 3  # as in the paper
SHARED_BY_FEW = ("stages", "width")
"""Branch settings that may be searched as ranges all the same: a range of them has few members."""


class Breach(NamedTuple):
    """A broken rule, before its line is known."""

    path: Path
    value: Any
    rule: str
    hint: str = ""


def value_breaches(space: Space) -> Iterator[Breach]:
    """Yields each value that its setting does not allow."""
    for name, value in space.fixed.items():
        yield from _checked(name, value, ("fixed", name))
    for path, point in ((("first",), space.first), *((("points", i), point) for i, point in enumerate(space.points))):
        for name, value in mapping(point).items():
            yield from _checked(name, value, (*path, name))
    for name, domain in space.search.items():
        yield from _domain_breaches(name, domain)


def relation_breaches(space: Space, broken: Collection[Path]) -> Iterator[Breach]:
    """Yields each rule between several parts of a space that does not hold, silent about the broken parts."""

    def sound(*paths: Path) -> bool:
        return not any(touches(path, broken) for path in paths)

    yield from _one_metric(space)
    yield from _branch_settings_are_choices(space)
    if sound(("data",)):
        yield from _one_source(space)
        if sound(("fixed", "fine_tuned"), ("preset",)):
            yield from modality_breaches(space, space.data.modalities)
    if sound(("fixed", "epochs"), ("search", "epochs"), ("scheduler",), ("data",)):
        yield from _epochs_and_rungs(space)
    yield from _shares_and_modes(space)
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
    """Yields what models read and is not there, and fine-tuned modalities that are not; None is not known yet."""
    if modalities is None:
        return
    models = [name for name in models_named(space).values() if not check("model", name)]
    for path, name in models_named(space).items():
        if absent := [stream for stream in streams_named(name) if stream not in modalities]:
            rule = f"reads {', '.join(absent)}, and the modalities are {', '.join(modalities)}"
            yield Breach(path, name, rule, near_miss(absent[0], modalities))
    whole = [model_of(name).streams for name in models if not streams_named(name)]
    if len(modalities) < max((least for least, _ in whole), default=1):
        yield Breach(("data", "modalities"), list(modalities), "is too few to fuse", "name at least two")
    if len(modalities) > MOST_MODALITIES and any(most == MOST_MODALITIES for _, most in whole):
        yield Breach(("data", "modalities"), list(modalities), "is too many to fuse", "name two or three")
    if any(not streams_named(name) and model_of(name).settings.get("phases") != "one" for name in models):
        yield from _fine_tuned_breaches(space, modalities)


def models_named(space: Space) -> dict[Path, str]:
    """Returns the names of the models that a space trains, by where it says so."""
    domain = space.search.get("model")
    if isinstance(domain, ChoiceDomain):
        named: dict[Path, Any] = {("search", "model", "values", i): value for i, value in enumerate(domain.values)}
    else:
        named = {("fixed", "model"): space.value("model")}
    return {path: name for path, name in named.items() if isinstance(name, str)}


def _fine_tuned_breaches(space: Space, modalities: Sequence[str]) -> Iterator[Breach]:
    domain = space.search.get("fine_tuned")
    searched = domain.values if isinstance(domain, ChoiceDomain) else None
    if domain and domain.when and searched:
        searched = (*searched, space.preset_value("fine_tuned"))
    path = ("search", "fine_tuned", "values") if searched else ("fixed", "fine_tuned")
    for name in dict.fromkeys(name for names in searched or [space.value("fine_tuned")] for name in names):
        if name not in modalities:
            rule = f"is fine-tuned but is not among the modalities {', '.join(modalities)}"
            yield Breach(path, name, rule, near_miss(name, modalities) or f"set {'.'.join(path)}")


def mapping(value: Any) -> Mapping[str, Any]:
    """Returns a value that is a mapping, and else an empty one."""
    return value if isinstance(value, Mapping) else {}


def _checked(name: str, value: Any, path: Path) -> Iterator[Breach]:
    """Yields the faults of a value, split from the recipe's text ``name: value rule; hint``."""
    if not is_setting(name):
        return
    for text in check(name, value):
        where, message = text.split(": ", 1)
        inner = where.removeprefix(name).removeprefix(".")
        at = value[inner] if inner else value
        rule, _, hint = message.removeprefix(f"{at!r} ").partition("; ")
        yield Breach((*path, inner) if inner else path, at, rule, hint.replace("'", "`"))


def _domain_breaches(name: str, domain: Any) -> Iterator[Breach]:
    if is_setting(name) and isinstance(domain, FloatDomain) and is_whole(name):
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


def _one_metric(space: Space) -> Iterator[Breach]:
    """Yields ``task`` where it is searched: trials that are judged by different metrics cannot be compared."""
    if "task" in space.search:
        rule = "is searched, and a study has one metric: scores are judged by correlation, highlights by precision"
        yield Breach(("search", "task"), UNSET, rule, "fix it, and launch a study for each")


def _one_source(space: Space) -> Iterator[Breach]:
    if space.data.path is not None and space.data.synthetic is not None:
        yield Breach(("data", "path"), space.data.path, "is given beside data.synthetic", "keep one source of data")


def _shares_and_modes(space: Space) -> Iterator[Breach]:
    """Yields keys of one section that contradict each other; a broken section has its defaults, which do not."""
    evaluation, scheduler = space.evaluation, space.scheduler
    if evaluation.first_folds is not None and evaluation.first_folds >= evaluation.folds:
        rule = f"is not fewer than the {evaluation.folds} folds of a whole trial"
        yield Breach(("evaluation", "first_folds"), evaluation.first_folds, rule, "set fewer, or leave it out")
    if scheduler.mode == "promote" and scheduler.type != "asha":
        rule = f"needs rungs to wait at, and scheduler.type {scheduler.type} has none"
        yield Breach(("scheduler", "mode"), scheduler.mode, rule, "set scheduler.type to asha")


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
