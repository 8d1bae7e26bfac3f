"""Our search: the very ``StudySearch`` that a launch drives, at the defaults of a space file.

What a launch takes from the space is set here in one place: the default scheduler, its grace period as the same share
of the budget that it is of the reference's 400 epochs, the default searcher, and a first point drawn at random, since
no configuration is known here to be good. As a launch's trials do, ours report at their rungs only, with the points of
the curve since the rung before. The search takes its objective for a correlation, in (-1, 1): accuracy as a share of 1
lies there, and is in the same order.
"""

from __future__ import annotations

from typing import Any

from pamfn.seeding import generator
from tuning.bench.methods import Setting
from tuning.bench.simulation import Answer
from tuning.search import Region, SearchSettings, StudySearch, Work
from tuning.sections import Scheduler, Searcher
from tuning.study import POINTS, rung_epochs

REFERENCE_EPOCHS = 400  # the budget to which the default grace period belongs
TRIALS = 1_000_000  # as good as no limit: the clock decides


class OurSearch:
    """The search of a study whose trials report at their rungs."""

    def __init__(self, setting: Setting, *, scheduler: Scheduler, searcher: Searcher) -> None:
        region = Region(setting.domains)
        self._epochs = setting.epochs
        self._rungs = rung_epochs(scheduler, setting.epochs)
        self._milestones = {*range(-(-setting.epochs // POINTS), setting.epochs, -(-setting.epochs // POINTS))}
        self._curves: dict[str, list[dict[str, float]]] = {}
        settings = SearchSettings(
            seed=setting.seed,
            concurrent=setting.workers,
            trials=TRIALS,
            first=region.draw(generator(setting.seed, "first")),
            searcher=searcher.type,
            warmup=searcher.warmup,
            reduction=scheduler.reduction if scheduler.type == "asha" else None,
            mode=scheduler.mode,
            auto=scheduler.grace_epochs == "auto",
            rungs=len(self._rungs),
        )
        self.search = StudySearch(region, settings)

    def ask(self) -> Work | None:
        """Returns a new trial, or one that waited and has earned to go on."""
        return self.search.next()

    def report(self, trial: str, epoch: int, accuracy: float) -> Answer:
        """Reports at a rung; in between, the search hears nothing."""
        point = {"val_spearman": accuracy / 100, "progress": epoch / self._epochs}
        curve = self._curves.setdefault(trial, [])
        if epoch in self._milestones or epoch in self._rungs:
            curve.append(point)
        if epoch not in self._rungs:
            return "goes on"
        self._curves[trial] = []
        result: dict[str, Any] = {**point, "rung": self._rungs.index(epoch), "curve": curve}
        return self.search.report(trial, result).action


def study_search(setting: Setting) -> OurSearch:
    """Returns our search as it comes."""
    return OurSearch(setting, scheduler=_scheduler(setting), searcher=Searcher())


def stopping(setting: Setting) -> OurSearch:
    """Returns our search with trials that stop."""
    return OurSearch(setting, scheduler=_scheduler(setting, mode="stop"), searcher=Searcher())


def promoting(setting: Setting) -> OurSearch:
    """Returns our search with trials that wait to be promoted."""
    return OurSearch(setting, scheduler=_scheduler(setting, mode="promote"), searcher=Searcher())


def hyperopt_alone(setting: Setting) -> OurSearch:
    """Returns our scheduler with HyperOpt's configurations."""
    return OurSearch(setting, scheduler=_scheduler(setting), searcher=Searcher(type="hyperopt"))


def gaussian_process_alone(setting: Setting) -> OurSearch:
    """Returns our scheduler with a Gaussian process's configurations."""
    return OurSearch(setting, scheduler=_scheduler(setting), searcher=Searcher(type="gp"))


def proven_rungs(setting: Setting) -> OurSearch:
    """Returns our search with rungs that have to prove themselves."""
    return OurSearch(setting, scheduler=_scheduler(setting, grace_epochs="auto"), searcher=Searcher())


def random_configurations(setting: Setting) -> OurSearch:
    """Returns our scheduler with random configurations."""
    return OurSearch(setting, scheduler=_scheduler(setting), searcher=Searcher(type="random"))


def _scheduler(setting: Setting, **changes: Any) -> Scheduler:
    if setting.grace is not None:
        changes |= {"grace_epochs": setting.grace, "reduction": setting.reduction}
    default = Scheduler(**changes)
    if setting.grace is not None or default.grace_epochs == "auto":
        return default
    grace = max(1, round(default.grace_epochs / REFERENCE_EPOCHS * setting.epochs))
    return default.model_copy(update={"grace_epochs": grace})
