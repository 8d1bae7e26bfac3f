"""Which configuration to try next, as a pure function of what was observed.

After the points that a space names and, on a warm start, the best ones of the other study, ``warmup`` configurations
are random. Then models propose: HyperOpt's tree of Parzen estimators, which treats each setting by itself and wanders
widely; a Gaussian process, which sees settings together and closes in fast; or both by turns (``hyperopt+gp``), so
that each learns from what the other found and neither is stuck alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from tuning.search.comparable import comparable, moved_to
from tuning.search.region import Region, spelled

MODELS = {"hyperopt+gp": ("gp", "hyperopt"), "hyperopt": ("hyperopt",), "gp": ("gp",)}
"""Who proposes by turns, by the searcher's type."""

TYPES = (*MODELS, "random", "grid")
BORROWED = 3  # configurations of the other study that a warm start tries again
FADES = 4  # times ``warmup`` of this study's own scores, and another study's are no longer looked at
_DRAWS = 1000  # at random, before a region that is not finite counts as used up
_ATTEMPTS = 8  # proposals to look at before a finite region is searched for what is left

Known = list[tuple[Mapping[str, Any], float | None, bool]]
"""Configurations with their comparable scores, and whether they failed or ended without a score."""


@dataclass(frozen=True)
class Observation:
    """One configuration that was tried, and what is known of it.

    Args:
        config: Its values of the searched settings.
        scores: Its score at every rung it has completed.
        state: ``running``, ``waiting``, ``ended`` or ``failed``.
        curve: Its learning curve: share of the full budget, and score.
        error: Standard error of its last score on Fisher's z scale; None where that is not known.
    """

    config: Mapping[str, Any]
    scores: Mapping[int, float]
    state: str = "running"
    curve: Sequence[tuple[float, float]] = field(default=())
    error: float | None = None

    @cached_property
    def spelled(self) -> str:
        """The configuration as text that is equal for equal ones."""
        return spelled(self.config)


@dataclass(frozen=True)
class Proposal:
    """A configuration to try, and where it comes from.

    Args:
        config: Values of the searched settings.
        by: ``first``, ``point``, ``warm start``, ``random``, ``hyperopt``, ``gp``, ``grid`` or ``left``.
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

    @property
    def prior(self) -> Sequence[Observation]: ...  # noqa: D102


def propose(
    region: Region, observations: Sequence[Observation], *, number: int, seed: int, settings: Asked
) -> Proposal | None:
    """Returns suggestion ``number`` of a study; None if the region is used up.

    Training is deterministic, so no configuration is proposed twice.
    """
    given = _given(region, settings)
    if number < len(given):
        return given[number]
    own = {o.spelled for o in observations}
    tried = own | {spelled(proposal.config) for proposal in given}
    if settings.searcher == "grid":
        left = region.untried(tried)
        return Proposal(left[0], "grid") if left else None
    for attempt in range(_ATTEMPTS):
        proposal = _proposal(region, observations, own, number, _generator(seed, number, attempt), settings)
        if spelled(proposal.config) not in tried:
            return proposal
    left, generator = region.untried(tried), _generator(seed, number, _ATTEMPTS)
    if left is None:  # a model insists on what it knows to be good
        drawn = (region.draw(generator) for _ in range(_DRAWS))
        return next((Proposal(config, "random") for config in drawn if spelled(config) not in tried), None)
    return Proposal(left[generator.integers(len(left))], "left") if left else None


def known_of(observations: Sequence[Observation]) -> Known:
    """Returns observations with scores that can be compared; running and waiting trials count with theirs.

    A trial that ended without a score did so after its first folds, and is as bad as one that failed.
    """
    scores = comparable({str(i): o.scores for i, o in enumerate(observations) if o.state != "failed"})
    bad = [o.state == "failed" or (o.state == "ended" and not o.scores) for o in observations]
    return [(o.config, scores.get(str(i)), bad[i]) for i, o in enumerate(observations)]


def _given(region: Region, settings: Asked) -> list[Proposal]:
    """Returns what is tried before anything is proposed, each configuration once."""
    best = sorted((k for k in known_of(settings.prior) if k[1] is not None), key=lambda k: -(k[1] or 0.0))
    borrowed = [Proposal(region.canonical(config), "warm start") for config, *_ in best]
    given = [Proposal(region.canonical(settings.first), "first")]
    given += [Proposal(region.canonical(point), "point") for point in settings.points]
    seen = {spelled(proposal.config) for proposal in given}
    new = [proposal for proposal in borrowed if spelled(proposal.config) not in seen]
    return given + list({spelled(proposal.config): proposal for proposal in new}.values())[:BORROWED]


def _proposal(
    region: Region,
    observations: Sequence[Observation],
    own: Set[str],
    number: int,
    generator: np.random.Generator,
    settings: Asked,
) -> Proposal:
    models = MODELS.get(settings.searcher, ())
    if not region.names or not models or (number < settings.warmup and not settings.prior):
        return Proposal(region.draw(generator), "random")
    from tuning.search import gaussian, tree  # two seconds, which a dry run has no use for

    known = _with_prior(known_of(observations), settings)
    by = models[number % len(models)]
    if by == "gp":
        borrowed = {spelled(config) for config, *_ in known[: len(known) - len(observations)]}
        config = gaussian.suggest(region, known, generator, own | borrowed)
        return Proposal(region.draw(generator), "random") if config is None else Proposal(config, "gp")
    observed = [(config, score) for config, score, _ in known]
    return Proposal(tree.suggest(region, observed, seed=int(generator.integers(2**31))), "hyperopt")


def _with_prior(known: Known, settings: Asked) -> Known:
    """Returns what is known with what another study found before it, moved to the level of this one's scores."""
    own = [score for _, score, _ in known if score is not None]
    if len(own) >= FADES * settings.warmup:
        return known
    prior = [(config, score) for config, score, _ in known_of(settings.prior) if score is not None]
    level = moved_to(own, [score for _, score in prior])
    return [*((config, score, False) for (config, _), score in zip(prior, level, strict=True)), *known]


def _generator(seed: int, number: int, attempt: int) -> np.random.Generator:
    return np.random.default_rng([seed, number, attempt])
