"""What a study says of itself on every run that belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
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
