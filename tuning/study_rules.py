"""The rules between a space and the data it is launched on: what can be known before anything starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pamfn.architectures import outline
from pamfn.data.features import Contents
from pamfn.phases.replica import Task, cross_validation
from tuning.faults import UNSET, nearest_or_all
from tuning.space_model import Space
from tuning.space_rules import Breach, epochs_breaches, grace_breaches, modality_breaches, models_named
from tuning.tasks import tasks_of


def resolved_tasks(space: Space, contents: Contents) -> tuple[Task, ...]:
    """Returns the tasks that a space asks for among those that the data holds.

    Without ``data.action`` these are all classes; without ``data.score`` the only score there is, or none.
    """
    held = sorted(set(contents.actions))
    actions = held if space.data.action is None else [name for name in space.data.action if name in held]
    known = list(contents.schema.scores)
    if space.data.score is None:
        scores = known if len(known) == 1 else []
    else:
        scores = [name for name in space.data.score if name in known]
    return tasks_of(actions, scores)


def resolved_modalities(space: Space, contents: Contents) -> tuple[str, ...]:
    """Returns the modalities that a space asks for, or all that the data holds."""
    return space.data.modalities or tuple(contents.schema.modalities)


def contents_breaches(space: Space, contents: Contents) -> Iterator[Breach]:
    """Yields everything that the space asks of the data and the data does not hold."""
    yield from _unknown_names(space, contents)
    unread = list(modality_breaches(space, resolved_modalities(space, contents)))
    yield from unread
    if not unread:
        yield from _network_breaches(space, contents)
    tasks = resolved_tasks(space, contents)
    complete = len(tasks) == _asked(space, contents)
    if complete and "epochs" not in space.search:
        names = [task.name for task in tasks]
        yield from epochs_breaches(space, names)
        yield from grace_breaches(space, names)
    yield from _group_breaches(space, contents)
    for task in tasks:
        yield from _task_breaches(space, contents, task)


def notes_on(space: Space, contents: Contents) -> tuple[str, ...]:
    """Returns what is allowed and yet worth a line before the study starts."""
    return tuple(_notes(space, contents))


def _notes(space: Space, contents: Contents) -> Iterator[str]:
    if space.evaluation.group is None and any(group is not None for group in contents.groups):
        yield "the data names a group for its videos and the folds cut through groups: see evaluation.group"
    if space.scheduler.type == "asha" and space.scheduler.grace_epochs == "auto":
        yield "scheduler.grace_epochs auto: rungs that foretell nothing are left out, as the first trials show"
    if space.budget.stop_at_noise and space.budget.trials > 1:
        yield "budget.stop_at_noise: the study ends early once another trial would gain less than the score's noise"
    if space.searcher.type == "grid" and (grid := space.region.grid()) and len(grid) > space.budget.trials:
        yield f"searcher.type grid: budget.trials {space.budget.trials} leaves out some of {len(grid)} configurations"


def _unknown_names(space: Space, contents: Contents) -> Iterator[Breach]:
    data, schema = space.data, contents.schema
    held: tuple[tuple[str, Sequence[str] | None, list[str], str], ...] = (
        ("action", data.action, sorted(set(contents.actions)), "action class"),
        ("score", data.score, list(schema.scores), "score"),
        ("modalities", data.modalities, list(schema.modalities), "modality"),
    )
    for key, asked, known, kind in held:
        for name in asked or ():
            if name not in known:
                yield Breach(("data", key), name, f"is no {kind} of the data", nearest_or_all(name, known))
    if data.score is None and len(schema.scores) > 1:
        hint = f"set data.score to one or more of {', '.join(schema.scores)}"
        yield Breach(("data", "score"), UNSET, "is not given, and the data has several", hint)


def _asked(space: Space, contents: Contents) -> int:
    actions = space.data.action or sorted(set(contents.actions))
    return len(actions) * len(space.data.score or (0,))


def _network_breaches(space: Space, contents: Contents) -> Iterator[Breach]:
    """Yields each model that cannot be built for the data with the first trial's settings, such as heads and width."""
    held = contents.schema.modalities
    widths = {name: held[name] for name in resolved_modalities(space, contents) if name in held}
    for path, name in models_named(space).items():
        first = {**space.first_point(), **({"model": name} if "model" in space.search else {})}
        try:
            outline(space.recipe(first), widths)
        except ValueError as error:
            rule = "cannot be built with these settings"
            yield Breach(path, name, f"{rule}: {error}", "change what the message names")


def _group_breaches(space: Space, contents: Contents) -> Iterator[Breach]:
    if space.evaluation.group is not None and all(group is None for group in contents.groups):
        rule = "is asked for, and the data names no groups"
        yield Breach(("evaluation", "group"), space.evaluation.group, rule, "ingest with --group-column, or set null")


def _task_breaches(space: Space, contents: Contents, task: Task) -> Iterator[Breach]:
    if task.score not in contents.annotated(task.action):
        hint = nearest_or_all(task.score, contents.annotated(task.action))
        yield Breach(("data", "score"), task.score, f"is not annotated for {task.action}", hint)
        return
    training = len(contents.where(action=task.action, split="train"))
    if not training:
        yield Breach(("data", "action"), task.action, "has no training videos")
        return
    yield from _fold_breaches(space, contents, task, training)
    if space.final.top and not len(contents.where(action=task.action, split="test")):
        rule = f"configurations are to be scored on the test split, which has no videos of {task.action}"
        yield Breach(("final", "top"), space.final.top, rule, "set 0")


def _fold_breaches(space: Space, contents: Contents, task: Task, training: int) -> Iterator[Breach]:
    folds, path = space.evaluation.folds, ("evaluation", "folds")
    if training < 2 * folds:
        rule = f"folds of two videos or more cannot be cut from the {training} training videos of {task.action}"
        yield Breach(path, folds, rule, f"use {training // 2} or fewer" if training > 3 else "")
        return
    grouped = space.evaluation.group is not None and any(group is not None for group in contents.groups)
    try:
        cross_validation(contents, [task], folds=folds, seeds=1, seed=space.seed, grouped=grouped)
    except ValueError as error:
        message = str(error).removeprefix("folds: ")
        yield Breach(path, folds, f"folds cannot be cut for {task.name}: {message}")
