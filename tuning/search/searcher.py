"""The searcher of a study: the chosen first point, random points to warm up, then HyperOpt on comparable scores."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ray.tune.search import ConcurrencyLimiter, Searcher

from tuning.domains import Domain, frozen_value
from tuning.search.comparable import comparable
from tuning.search.drawing import draw, faults_of_point, spelled, untried
from tuning.search.reading import has_reported, read
from tuning.search.tree import suggest

_ATTEMPTS = 8  # suggestions to look at before a finite space is searched for what is left
TYPES = ("hyperopt", "random")


class SearcherSection(Protocol):
    """What the ``searcher`` section of a space says."""

    @property
    def type(self) -> str: ...  # noqa: D102

    @property
    def warmup(self) -> int: ...  # noqa: D102


class SearchedSpace(Protocol):
    """What a searcher needs of a space; ``tuning.space`` provides it."""

    @property
    def search(self) -> Mapping[str, Domain]: ...  # noqa: D102

    @property
    def searcher(self) -> SearcherSection: ...  # noqa: D102

    def first_point(self) -> Mapping[str, Any]: ...  # noqa: D102


@dataclass
class Suggestion:
    """One configuration that has been handed out, and what came of it."""

    number: int
    trial: str
    config: dict[str, Any]
    scores: dict[int, float] = field(default_factory=dict)
    state: str = "running"  # then "ended" or "failed"


class StudySearcher(Searcher):  # type: ignore[misc]  # Ray is untyped
    """Suggests configurations to Ray Tune, and learns from what can be compared.

    Suggestion n depends on nothing but (seed, n, the suggestions so far and the scores known of them). What is
    compared: each trial's score at the highest rung it has completed, running trials included, carried to the highest
    rung of all as ``comparable`` describes; trials that failed, or have no score yet, are told to HyperOpt as failed.
    Training is deterministic, so no configuration is suggested twice; a finite space that is used up ends the study.

    The state is plain records, saved with every snapshot of Tune. ``GuardedASHA`` calls ``adopt`` for every trial that
    a restored study knows, so that a snapshot of the searcher that is older or newer than that of the trials is put
    right: a trial it lacks is taken in, and one that no longer exists is forgotten and its suggestion made again. With
    another scheduler a restored study would forget its trials.

    Args:
        domains: The searched settings; may be empty.
        first: The configuration of the first trial.
        kind: ``hyperopt`` or ``random``.
        warmup: Suggestions (the first point among them) that are not HyperOpt's but drawn at random.
        seed: Seed of all suggestions.
        concurrent: Trials that may run at once.

    Raises:
        ValueError: If the first point does not lie in the space, or an argument breaks its rule; all faults at once.
    """

    CKPT_FILE_TMPL = "searcher-state-{}.json"

    def __init__(
        self,
        *,
        domains: Mapping[str, Domain],
        first: Mapping[str, Any],
        kind: str,
        warmup: int,
        seed: int,
        concurrent: int,
    ) -> None:
        faults = [f"first: {fault}" for fault in faults_of_point(domains, first)]
        faults += [f"searcher.type: {kind!r} is not one of {', '.join(TYPES)}"] * (kind not in TYPES)
        faults += [f"searcher.warmup: {warmup} must be at least 0"] * (warmup < 0)
        faults += [f"budget.concurrent: {concurrent} must be at least 1"] * (concurrent < 1)
        if faults:
            raise ValueError("; ".join(faults))
        super().__init__()
        self._domains = dict(domains)
        self._first = {name: frozen_value(first[name]) for name in domains}
        self._kind, self._warmup, self._seed, self._concurrent = kind, warmup, seed, concurrent
        self._suggestions: dict[str, Suggestion] = {}
        self._unconfirmed: set[str] = set()

    def set_search_properties(self, metric: str | None, mode: str | None, config: Any, **spec: Any) -> bool:
        """Accepts Tune's announcement; the space and the metric are known already."""
        return True

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """Takes the limit over from Tune's limiter, whose own count would go wrong after a kill."""
        self._concurrent = max_concurrent
        return True

    def suggest(self, trial_id: str) -> Any:
        """Returns a configuration, None while enough trials are running, or ``FINISHED`` if none is left to try."""
        self._forget_lost_trials()
        if sum(s.state == "running" for s in self._suggestions.values()) >= self._concurrent:
            return None
        number = self._next_number()
        config = self._configuration(number)
        if config is None:
            return Searcher.FINISHED
        self._suggestions[trial_id] = Suggestion(number, trial_id, config)
        return dict(config)

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Learns the score of a rung."""
        if trial_id in self._suggestions:
            self._suggestions[trial_id].scores |= read(result).scores

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        """Learns how a trial ended, and frees its place."""
        suggestion = self._suggestions.get(trial_id)
        if suggestion is None or suggestion.state == "failed":
            return
        reading = read(result) if result and has_reported(result) else None
        suggestion.scores |= reading.scores if reading else {}
        suggestion.state = "failed" if error or (reading and reading.fault) else "ended"

    def adopt(
        self, trial_id: str, config: Mapping[str, Any], scores: Mapping[int, float], *, ended: bool, failed: bool
    ) -> None:
        """Takes in a trial that Tune knows: a trial of an interrupted study, or one that is tried again."""
        self._unconfirmed.discard(trial_id)
        if trial_id not in self._suggestions:
            point = {name: frozen_value(config[name]) for name in self._domains}
            number = 0 if point == self._first and self._next_number() == 0 else max(1, self._next_number())
            self._suggestions[trial_id] = Suggestion(number, trial_id, point)
        self._suggestions[trial_id].scores |= scores
        self._suggestions[trial_id].state = ("failed" if failed else "ended") if ended else "running"

    def save(self, checkpoint_path: str) -> None:
        """Writes every suggestion and what is known of it."""
        Path(checkpoint_path).write_text(json.dumps([asdict(s) for s in self._suggestions.values()]), encoding="utf-8")

    def restore(self, checkpoint_path: str) -> None:
        """Reads what ``save`` wrote; running trials count only once Tune confirms them by ``adopt``."""
        records = json.loads(Path(checkpoint_path).read_text(encoding="utf-8"))
        self._suggestions = {record["trial"]: _suggestion(record) for record in records}
        self._unconfirmed = set(self._suggestions)

    def _forget_lost_trials(self) -> None:
        for trial in self._unconfirmed:
            del self._suggestions[trial]
        self._unconfirmed = set()

    def _next_number(self) -> int:
        used = {s.number for s in self._suggestions.values()}
        return next(number for number in itertools.count() if number not in used)

    def _configuration(self, number: int) -> dict[str, Any] | None:
        if number == 0:
            return self._first
        tried = {spelled(s.config) for s in self._suggestions.values()} | {spelled(self._first)}
        for attempt in range(_ATTEMPTS):
            config = self._proposal(number, attempt)
            if spelled(config) not in tried:
                return config
        left = untried(self._domains, tried)
        if left is None:
            return config
        return left[self._generator(number, _ATTEMPTS).integers(len(left))] if left else None

    def _proposal(self, number: int, attempt: int) -> dict[str, Any]:
        generator = self._generator(number, attempt)
        if not self._domains or self._kind == "random" or number < self._warmup:
            return draw(self._domains, generator)
        ordered = sorted(self._suggestions.values(), key=lambda s: s.number)
        scores = comparable({s.trial: s.scores for s in ordered if s.state != "failed"})
        observed = [(s.config, scores.get(s.trial)) for s in ordered]
        return suggest(self._domains, observed, seed=int(generator.integers(2**31)))

    def _generator(self, number: int, attempt: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, number, attempt])


def make_searcher(space: SearchedSpace, seed: int, concurrent: int) -> ConcurrencyLimiter:
    """Returns the searcher of a study, for ``TuneConfig(search_alg=...)``.

    Tune's limiter is only the wrapper by which Tune learns how many trials it may start at once; the count is kept by
    the searcher.

    Args:
        space: The space, with its first point.
        seed: The study's seed.
        concurrent: Trials that may run at once.

    Raises:
        ValueError: If the first point does not lie in the space, or a setting breaks its rule.
    """
    searcher = StudySearcher(
        domains=space.search,
        first=space.first_point(),
        kind=space.searcher.type,
        warmup=space.searcher.warmup,
        seed=seed,
        concurrent=concurrent,
    )
    return ConcurrencyLimiter(searcher, max_concurrent=concurrent)


def _suggestion(record: Mapping[str, Any]) -> Suggestion:
    config = {name: frozen_value(value) for name, value in record["config"].items()}
    scores = {int(rung): float(score) for rung, score in record["scores"].items()}
    return Suggestion(record["number"], record["trial"], config, scores, record["state"])
