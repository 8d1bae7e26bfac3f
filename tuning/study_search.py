"""The search of a study: what its space says, as ``tuning.search`` wants it."""

from __future__ import annotations

from tuning.search import Journal, SearchSettings, StudySearch
from tuning.search.journal import FILE
from tuning.storage.kept import kept_at
from tuning.storage.numbered import NumberedLines
from tuning.study import Study
from tuning.warm_start import prior_of


def search_of(study: Study, concurrent: int, journal: Journal | None = None) -> StudySearch:
    """Returns the search of a study, gone as far as its journal tells.

    Args:
        study: The study.
        concurrent: Trials that may run at once.
        journal: What has happened so far, and where to write what happens from now on.
    """
    return StudySearch(study.space.region, settings_of(study, concurrent), journal)


def journal_at(storage: str) -> Journal:
    """Returns the journal of a study, which is empty where there is none.

    Args:
        storage: Folder or URI of the study's results.

    Raises:
        JournalError: If it is damaged.
        StorageError: If it cannot be read.
    """
    kept = kept_at(storage)
    return Journal(kept.folder / FILE, lines=NumberedLines(kept.store, FILE) if kept.store is not None else None)


def settings_of(study: Study, concurrent: int) -> SearchSettings:
    """Returns how a study searches."""
    space, scheduler = study.space, study.space.scheduler
    first = space.first_point()
    return SearchSettings(
        seed=study.seed,
        concurrent=concurrent,
        trials=space.budget.trials,
        first=first,
        points=space.fixed_points(),
        prior=prior_of(study).observations,
        searcher=space.searcher.type,
        warmup=space.searcher.warmup,
        reduction=scheduler.reduction if scheduler.type == "asha" else None,
        mode=scheduler.mode,
        auto=scheduler.grace_epochs == "auto",
        rungs=len(study.rungs(space.recipe(first))),
        stop_at_noise=space.budget.stop_at_noise,
        metric=study.metric.name,
    )
