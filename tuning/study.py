"""A study, resolved: a space, the data it runs on and where its results go, as one plain value that can be pickled.

    draft = read_space("rg.yaml", sets)
    location = data_location(draft, data="shards/rg", storage="studies")
    study = resolve_study(draft, location, storage="studies", tracking_uri="sqlite:///mlflow.db")

Everything that can be known before a study starts is checked here; the faults of the space file and those of the data
come in one list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pamfn.data.faults import ShardError
from pamfn.data.features import Contents
from pamfn.data.shards import read_table_of_contents
from pamfn.phases.replica import Task
from pamfn.recipe import Recipe
from tuning.faults import UNSET, Fault, SpaceError
from tuning.score_metric import ScoreMetric, metric_of
from tuning.sections import Scheduler, Synthetic
from tuning.space import Draft
from tuning.space_model import Space
from tuning.space_rules import touches
from tuning.storage import absolute, within
from tuning.storage.kept import Kept, kept_at
from tuning.storage.working import working_folder
from tuning.study_rules import contents_breaches, notes_on, resolved_modalities, resolved_tasks

__all__ = ["Study", "Task", "absolute", "data_location", "epoch_at", "resolve_study"]

BRANCH_FOLDER, DATA_FOLDER = "branches", "data"
POINTS = 40  # of a learning curve, where evaluation.every is auto
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Study:
    """One launch of one space file.

    Args:
        name: Name of the study: its folder and its MLflow experiment.
        space: What is searched, and how.
        tasks: What the networks of a trial learn; the first is the reference class, in whose epochs rungs are given.
        modalities: The streams that are fused, in order.
        data: Folder or URI of the shards; absolute.
        digest: Digest of the data's content.
        root: Folder or URI that all studies of a place share; absolute.
        tracking_uri: Where MLflow keeps runs.
        notes: Lines worth printing before the study starts.
    """

    name: str
    space: Space
    tasks: tuple[Task, ...]
    modalities: tuple[str, ...]
    data: str
    digest: str
    root: str
    tracking_uri: str
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def storage(self) -> str:
        """Folder or URI of this study's results."""
        return within(self.root, self.name)

    @property
    def branch_store(self) -> str:
        """Folder or URI of the pretrained branches that all studies of the root share."""
        return within(self.root, BRANCH_FOLDER)

    @property
    def kept(self) -> Kept:
        """The folder of this machine that a process of the study works in, and what of it lasts in the storage."""
        return kept_at(self.storage)

    @property
    def folder(self) -> Path:
        """The folder of this machine that a process of the study works in: its storage, where that is a folder."""
        return working_folder(self.storage)

    @property
    def seed(self) -> int:
        """The seed of everything random in this study."""
        return self.space.seed

    @property
    def metric(self) -> ScoreMetric:
        """What its networks are judged by."""
        return metric_of(self.space)

    def rungs(self, recipe: Recipe) -> tuple[float, ...]:
        """Returns the shares of the full budget at which a trial is judged; the last is 1.0.

        ASHA's rungs lie at ``grace_epochs`` of the reference class and at ``reduction`` times as many again and again.
        """
        budget = recipe.epochs_of(self.tasks[0].name)
        return tuple(epoch / budget for epoch in self._rung_epochs(budget))

    def milestones(self, recipe: Recipe) -> tuple[float, ...]:
        """Returns the shares of the full budget at which a trial is scored: its rungs, and the points between them."""
        budget = recipe.epochs_of(self.tasks[0].name)
        every = self.space.evaluation.every
        step = -(-budget // POINTS) if every == "auto" else every
        return tuple(epoch / budget for epoch in sorted({*range(step, budget, step), *self._rung_epochs(budget)}))

    def replica_names(self) -> tuple[str, ...]:
        """Returns ``task/fold0/seed0`` for every replica of a trial: tasks, then folds, then seeds."""
        folds, seeds = range(self.space.evaluation.folds), range(self.space.evaluation.seeds)
        return tuple(f"{task.name}/fold{fold}/seed{seed}" for task in self.tasks for fold in folds for seed in seeds)

    def _rung_epochs(self, budget: int) -> list[int]:
        return rung_epochs(self.space.scheduler, budget)


def rung_epochs(scheduler: Scheduler, budget: int) -> list[int]:
    """Returns the epochs, out of a budget, after which a trial is judged; the last is the budget."""
    epochs: list[int] = []
    if scheduler.type != "asha":
        return [budget]
    if scheduler.grace_epochs == "auto":
        return _automatic_rungs(budget, scheduler.reduction)
    epoch = scheduler.grace_epochs
    while epoch < budget:
        epochs.append(epoch)
        epoch *= scheduler.reduction
    return [*epochs, budget]


def _automatic_rungs(budget: int, reduction: int) -> list[int]:
    """Returns rungs from the whole budget down to the first epoch, each a ``reduction``-th of the next."""
    epochs, share = [budget], budget / reduction
    while round(share) >= 1 and round(share) < epochs[0]:
        epochs.insert(0, round(share))
        share /= reduction
    return epochs


def epoch_at(progress: float, epochs: int) -> int:
    """Returns the epoch, counted from 1, at which a class with this budget has come this share of it."""
    return max(1, round(progress * epochs))


def data_location(draft: Draft, *, data: str | None = None, storage: str = "studies") -> str:
    """Returns where the shards of a study lie, or for planted data where they will be made.

    Args:
        draft: The space as read; its ``data`` names the shards unless ``data`` does.
        data: The option ``--data``, which goes before the file.
        storage: Folder or URI of all studies.

    Raises:
        SpaceError: If neither names any data; the list holds the faults of the space as well.
    """
    section = draft.space.data
    if data is not None:
        return absolute(data)
    if section.synthetic is not None:
        return planted_location(section.synthetic, storage)
    if section.path is not None:
        return absolute(section.path)
    missing = () if ("data",) in draft.broken else (_no_data(),)
    raise SpaceError(draft.space.source, [*draft.faults, *missing])


def planted_location(synthetic: Synthetic, storage: str) -> str:
    """Returns the folder of a planted data set; equal settings share it."""
    control = "-control" if synthetic.control else ""
    return within(absolute(storage), DATA_FOLDER, f"planted-{synthetic.size}-seed{synthetic.seed}{control}")


def resolve_study(
    draft: Draft,
    location: str,
    *,
    storage: str = "studies",
    tracking_uri: str = "sqlite:///mlflow.db",
    name: str | None = None,
    contents: Contents | None = None,
) -> Study:
    """Returns the study that a space makes of the shards at a location.

    Args:
        draft: The space as read, sound or not.
        location: Where the shards are; see ``data_location``.
        storage: Folder or URI of all studies.
        tracking_uri: Where MLflow keeps runs.
        name: Name of the study; by default that of the space file.
        contents: What will be at the location, if nothing is there yet.

    Raises:
        SpaceError: If the space, the data or the name breaks a rule; all faults of all of them.
    """
    space, name = draft.space, name or Path(draft.space.source).stem
    faults = [*draft.faults, *name_faults(name)]
    try:
        contents = read_table_of_contents(location)[1] if contents is None else contents
    except ShardError as error:
        place = _place_of(location, draft)
        raise SpaceError(space.source, [*faults, *(Fault(place, "", UNSET, text) for text in error.faults)]) from error
    if ("data",) not in draft.broken:
        breaches = (b for b in contents_breaches(space, contents) if not touches(b.path, draft.broken))
        faults += [fault for fault in map(draft.fault, breaches) if fault not in faults]
    if faults:
        raise SpaceError(space.source, faults)
    return Study(
        name=name,
        space=_at(space, location, storage),
        tasks=resolved_tasks(space, contents),
        modalities=resolved_modalities(space, contents),
        data=location,
        digest=contents.schema.digest,
        root=absolute(storage),
        tracking_uri=tracking_uri,
        notes=notes_on(space, contents),
    )


def _place_of(location: str, draft: Draft) -> int | str:
    """Returns the line of a space that names this location, or the option that must have."""
    path = draft.space.data.path
    return draft.document.line(("data", "path")) if path is not None and absolute(path) == location else "--data"


def _at(space: Space, location: str, storage: str) -> Space:
    """Returns a space that names its data by itself: best configurations are launched again from it."""
    planted = space.data.synthetic
    if planted is not None and location == planted_location(planted, storage):
        return space
    data = space.data.model_copy(update={"path": location, "synthetic": None})
    return space.model_copy(update={"data": data})


def name_faults(name: str) -> Iterator[Fault]:
    """Yields why a study cannot have this name."""
    if not _NAME.fullmatch(name) or name in (BRANCH_FOLDER, DATA_FOLDER):
        rule = "is no name for a study: letters, digits, '.', '_' and '-', and neither branches nor data"
        yield Fault("--name", "", name, rule)


def _no_data() -> Fault:
    return Fault("--data", "", UNSET, "no data is named", "give --data DIR, data.path or data.synthetic")
