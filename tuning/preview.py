"""A study as it would run, for ``--dry-run``: what is searched and trained, when it is judged, and what it will take.

Nothing is started and nothing is written; a step is measured on random features of the study's shapes.
"""

from __future__ import annotations

from collections.abc import Iterator

from pamfn.data.features import Contents
from pamfn.data.rules import counted
from tuning.domains import ChoiceDomain, describe
from tuning.forecast.machine import this_machine
from tuning.forecast.outlook import Outlook
from tuning.forecast.pace import NotMeasured, Pace, measure
from tuning.forecast.report import branches, disk, epochs, fits, times
from tuning.forecast.wording import rounded, section, table
from tuning.forecast.work import Networks
from tuning.study import Study
from tuning.study_file import is_launched

KEPT = {2: "half", 3: "third", 4: "quarter"}


def preview(study: Study, contents: Contents, *, elsewhere: bool = False, resume: bool = False) -> Iterator[str]:
    """Yields a resolved study and its forecast as text, a section at a time: the later ones take seconds to find out.

    Args:
        study: The study.
        contents: What is known of its videos.
        elsewhere: Whether it would run on a cluster, of which a dry run asks nothing.
        resume: Whether it would go on with a study that is there.
    """
    outlook = Outlook(study, contents, this_machine())
    trials, networks = counted(outlook.trials, "trial"), counted(len(outlook.networks.replicas), "network")
    yield f"study {study.name}: {trials} of {networks} each; a dry run, nothing is started\n\n"
    yield section("data", _data(study, outlook.networks))
    yield section("networks", _networks(study, outlook.networks))
    yield section("trials", _trials(study, outlook))
    yield section("first", [_values(study.space.first_point())])
    yield section("points", [_values(point) for point in study.space.fixed_points()])
    yield section("searched", _searched(study))
    yield section("rungs", _rungs(study, outlook))
    yield section("branches", branches(outlook))
    pace = _pace(outlook)
    courses = outlook.courses(pace if isinstance(pace, Pace) else None)
    yield section("epochs", epochs(outlook, courses))
    yield section("time", times(outlook, pace, courses))
    yield section("disk", disk(outlook, courses))
    yield section("fits", fits(outlook, elsewhere=elsewhere))
    yield section("notes", _notes(study, resume=resume))
    yield f"\n{study.space.to_yaml()}"


def _pace(outlook: Outlook) -> Pace | str:
    """Returns how fast this machine trains, or why that could not be measured."""
    threads = max(1, int(outlook.study.space.resources.cpu))
    try:
        return measure(outlook.first, outlook.costliest, outlook.networks, device=outlook.device, threads=threads)
    except NotMeasured as error:
        return str(error)


def _data(study: Study, networks: Networks) -> Iterator[str]:
    made = f"digest {study.digest[:12]}" if study.digest else "planted, made when the study starts"
    yield f"{study.data} ({made})"
    yield f"modalities {_values(networks.widths)}; classes {', '.join(task.name for task in study.tasks)}"


def _networks(study: Study, networks: Networks) -> Iterator[str]:
    evaluation, count = study.space.evaluation, len(networks.replicas)
    parts = [(len(study.tasks), "class"), (evaluation.folds, "fold"), (evaluation.seeds, "seed")]
    product = " x ".join(counted(n, noun) if noun != "class" or n == 1 else f"{n} classes" for n, noun in parts)
    train, valid = [len(r.train) for r in networks.replicas], [len(r.valid) for r in networks.replicas]
    yield f"{product}: {count} a trial, trained on {_between(train)} videos and scored on {_between(valid)}"
    if evaluation.group is not None:
        yield f"folds do not cut through a group ({evaluation.group})"
    if evaluation.first_folds is not None and evaluation.first_folds < evaluation.folds:
        yield (
            f"{counted(evaluation.first_folds, 'fold')} first, the others only of configurations that are not "
            "hopeless; what follows supposes that none is"
        )


def _trials(study: Study, outlook: Outlook) -> Iterator[str]:
    budget, searcher = study.space.budget, study.space.searcher
    warmup = f", the first {searcher.warmup} at random" if searcher.type not in ("random", "grid") else ""
    at_once = f"{outlook.concurrent} at once here (budget.concurrent: {budget.concurrent})"
    yield f"{outlook.trials}, {at_once}; {searcher.type}{warmup}"
    if outlook.trials < budget.trials:
        yield f"the space has {outlook.trials} configurations: the budget of {budget.trials} is not used up"
    if study.space.warm_start is not None:
        yield f"what study {study.space.warm_start} found out is told to the searcher first"
    if budget.stop_at_noise:
        yield "it may end earlier, when another trial would gain less than the noise of the score"


def _searched(study: Study) -> Iterator[str]:
    rows = [
        (
            name,
            describe(d) + (", by magnitude" if not isinstance(d, ChoiceDomain) and d.log else "") + _condition(d.when),
        )
        for name, d in study.space.search.items()
    ]
    width = max((len(name) for name, _ in rows), default=0)
    yield from (f"{name.ljust(width)}  {what}" for name, what in rows)
    yield from (f"only where {constraint}" for constraint in study.space.constraints)
    if not rows:
        yield "nothing; a single configuration"


def _condition(when: dict[str, object] | None) -> str:
    return f" (where {_values(when)})" if when else ""


def _rungs(study: Study, outlook: Outlook) -> Iterator[str]:
    scheduler, first = study.space.scheduler, outlook.first
    if scheduler.type == "none":
        yield "none: every trial runs its full budget"
    else:
        share = KEPT.get(scheduler.reduction, f"1/{scheduler.reduction}")
        rest = {"stop": "the rest end", "promote": "the rest wait, checkpointed, until they are among them"}
        yield f"asha, {scheduler.mode}: the best {share} of what a rung has seen goes on, {rest[scheduler.mode]}"
    shares = ", ".join(f"{rounded(100 * share)}%" for share in study.rungs(first))
    yield f"rungs at {shares} of each class's budget"
    shown = [(task.name, *map(str, outlook.rung_epochs(task.name))) for task in study.tasks]
    yield from (f"{line} epochs" for line in table(shown))
    if scheduler.type == "asha" and scheduler.grace_epochs == "auto":
        yield "auto: the epochs below are the fewest; where the lowest rungs say nothing, more trials pass them"


def _notes(study: Study, *, resume: bool) -> Iterator[str]:
    yield from study.notes
    there = is_launched(study)
    if there and resume:
        yield f"the study at {study.storage} would be resumed; the forecast is of all of it, not of what is left"
    elif there:
        yield f"{study.name} is a study already, at {study.storage}: a launch needs --resume, or another --name"


def _values(of: object) -> str:
    items = dict(of).items() if of else ()  # type: ignore[call-overload]
    return ", ".join(f"{name} {value}" for name, value in items)


def _between(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} to {high}"
