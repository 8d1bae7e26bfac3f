"""A study as tracking writes it down."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from pathlib import PurePosixPath
from typing import Any

from pamfn.data.shards import read_table_of_contents
from tuning.domains import Domain
from tuning.study import Study
from tuning.tracking import DataRecord, StudyRecord


def study_record(study: Study) -> StudyRecord:
    """Returns what a study says of itself on every run."""
    space, text = study.space, study.space.to_yaml()
    recipe = space.recipe(space.first_point())
    shared = {k: v for k, v in dataclasses.asdict(recipe).items() if k not in space.search}
    protocol = {"folds": space.evaluation.folds, "seeds": space.evaluation.seeds, "group": space.evaluation.group}
    return StudyRecord(
        name=study.name,
        storage=study.storage,
        space_text=text,
        space_digest=hashlib.sha256(text.encode()).hexdigest(),
        seed=study.seed,
        data=_data_record(study),
        searched={name: _words(domain) for name, domain in space.search.items()},
        log_scaled=tuple(name for name, domain in space.search.items() if getattr(domain, "log", False)),
        shared={"preset": space.preset, **protocol, **shared, "modalities": list(study.modalities)},
        first=space.first_point(),
        trials=space.budget.trials,
    )


def _data_record(study: Study) -> DataRecord:
    _, contents = read_table_of_contents(study.data)
    videos = Counter(zip(contents.actions, contents.splits, strict=True))
    profile = {f"{action} {split}": count for (action, split), count in sorted(videos.items())}
    return DataRecord(name=PurePosixPath(study.data).name, digest=study.digest, location=study.data, profile=profile)


def _words(domain: Domain) -> str:
    values: Any = getattr(domain, "values", None)
    if values is not None:
        return f"one of {', '.join(map(str, values))}"
    return f"{domain.type} {domain.low}..{domain.high}{' log' if domain.log else ''}"  # type: ignore[union-attr]
