"""What a study says of itself on every run that belongs to it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tuning.conditions import only_when
from tuning.domains import ChoiceDomain, Domain, describe
from tuning.score_metric import SPEARMAN, ScoreMetric
from tuning.study import Study


@dataclass(frozen=True)
class DataRecord:
    """The data set of a study.

    Args:
        name: What people call it, such as the shards' folder.
        digest: The shards' digest of content.
        location: Where it was read from, a path or URI.
        profile: Numbers about it for its page, such as videos a class.
    """

    name: str
    digest: str
    location: str
    profile: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """The study as tracking needs it; plain values only.

    Args:
        name: The study's name and the experiment's.
        storage: The study's folder.
        space_text: The space file as it was resolved, complete enough to launch the study again.
        space_digest: Digest of that text.
        seed: The study's seed.
        data: The data set.
        searched: Searched setting -> what is searched, in words, such as ``float 1e-4..2e-3 log``.
        log_scaled: The searched settings on a log scale.
        shared: All other settings and the protocol, the same for every trial.
        first: The first trial's searched values (the paper's configuration).
        trials: How many trials were asked for.
        metric: What its networks are judged by; its metrics have names of it.
    """

    name: str
    storage: str
    space_text: str
    space_digest: str
    seed: int
    data: DataRecord
    searched: Mapping[str, str]
    log_scaled: tuple[str, ...]
    shared: Mapping[str, Any]
    first: Mapping[str, Any]
    trials: int
    metric: ScoreMetric = SPEARMAN

    @classmethod
    def of(cls, study: Study, profile: Mapping[str, Any] | None = None) -> StudyRecord:
        """Returns the record of a resolved study.

        Args:
            study: The study.
            profile: Numbers about the data for its page, such as videos a class.
        """
        space = study.space
        text = space.to_yaml()
        return cls(
            name=study.name,
            storage=study.storage,
            space_text=text,
            space_digest=hashlib.sha256(text.encode()).hexdigest()[:16],
            seed=study.seed,
            data=DataRecord(study.data.rstrip("/").split("/")[-1], study.digest, study.data, profile or {}),
            searched={name: in_words(domain) for name, domain in space.search.items()},
            log_scaled=tuple(name for name, domain in space.search.items() if getattr(domain, "log", False)),
            shared=_shared(study),
            first=space.first_point(),
            trials=space.budget.trials,
            metric=study.metric,
        )


def in_words(domain: Domain) -> str:
    """Returns a domain for a parameter's text: ``1 to 20, log`` or ``one of 2, 3, 4``, and when it is searched."""
    log = not isinstance(domain, ChoiceDomain) and domain.log
    words = f"{describe(domain)}, log" if log else describe(domain)
    return f"{words}; {only_when(domain)}" if domain.when else words


def _shared(study: Study) -> dict[str, Any]:
    """Returns the settings that no trial varies, and the protocol."""
    space = study.space
    recipe = dataclasses.asdict(space.recipe(space.first_point()))
    settings = {name: value for name, value in recipe.items() if name not in space.search}
    evaluation = {"folds": space.evaluation.folds, "seeds": space.evaluation.seeds, "group": space.evaluation.group}
    tasks = [task.name for task in study.tasks]
    resources = {"engine": space.resources.engine, "precision": space.resources.precision}
    return settings | evaluation | resources | {"preset": space.preset, "tasks": tasks, "modalities": study.modalities}
