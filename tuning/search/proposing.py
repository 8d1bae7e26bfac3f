"""Which configuration to try next, as a pure function of what was observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from tuning.search.comparable import comparable
from tuning.search.region import Region, spelled
from tuning.search.tree import suggest

_ATTEMPTS = 8  # proposals to look at before a finite region is searched for what is left
TYPES = ("hyperopt", "random", "grid")


@dataclass(frozen=True)
class Observation:
    """One configuration that was tried, and what is known of it.

    Args:
        config: Its values of the searched settings.
        scores: Its score at every rung it has completed.
        state: ``running``, ``waiting``, ``ended`` or ``failed``.
        curve: Its learning curve: share of the full budget, and score.
    """

    config: Mapping[str, Any]
    scores: Mapping[int, float]
    state: str = "running"
    curve: Sequence[tuple[float, float]] = field(default=())


@dataclass(frozen=True)
class Proposal:
    """A configuration to try, and where it comes from.

    Args:
        config: Values of the searched settings.
        by: ``first``, ``point``, ``warm start``, ``random``, ``hyperopt``, ``grid`` or ``left``.
    """

    config: dict[str, Any]
    by: str


class Asked(Protocol):
    """What proposing needs to know of a study."""

    @property
    def searcher(self) -> str: ...  # noqa: D102

    @property
    def warmup(self) -> int: ...  # noqa: D102

    @property
    def first(self) -> Mapping[str, Any]: ...  # noqa: D102

    @property
    def points(self) -> Sequence[Mapping[str, Any]]: ...  # noqa: D102


def propose(
    region: Region, observations: Sequence[Observation], *, number: int, seed: int, settings: Asked
) -> Proposal | None:
    """Returns suggestion ``number`` of a study; None if the region is used up.

    Training is deterministic, so no configuration is proposed twice.
    """
    given = [Proposal(region.canonical(settings.first), "first")]
    given += [Proposal(region.canonical(point), "point") for point in settings.points]
    if number < len(given):
        return given[number]
    tried = {spelled(o.config) for o in observations} | {spelled(proposal.config) for proposal in given}
    if settings.searcher == "grid":
        left = region.untried(tried)
        return Proposal(left[0], "grid") if left else None
    for attempt in range(_ATTEMPTS):
        proposal = _proposal(region, observations, number, _generator(seed, number, attempt), settings)
        if spelled(proposal.config) not in tried:
            return proposal
    left = region.untried(tried)
    if left is None:
        return proposal
    return Proposal(left[_generator(seed, number, _ATTEMPTS).integers(len(left))], "left") if left else None


def _proposal(
    region: Region, observations: Sequence[Observation], number: int, generator: np.random.Generator, settings: Asked
) -> Proposal:
    if not region.names or settings.searcher == "random" or number < settings.warmup:
        return Proposal(region.draw(generator), "random")
    known = {str(i): o.scores for i, o in enumerate(observations) if o.state != "failed"}
    scores = comparable(known)
    observed = [(o.config, scores.get(str(i))) for i, o in enumerate(observations)]
    config = suggest(region, observed, seed=int(generator.integers(2**31)))
    return Proposal(region.canonical(config), "hyperopt")


def _generator(seed: int, number: int, attempt: int) -> np.random.Generator:
    return np.random.default_rng([seed, number, attempt])
