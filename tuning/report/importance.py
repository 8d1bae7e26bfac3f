"""How much each searched setting matters to be among the best: Optuna's PED-ANOVA, held against chance.

S. Watanabe, A. Bansal and F. Hutter, "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary
Subspaces", IJCAI 2023. It asks how differently the best trials are spread over a setting's values than all trials are.
So it needs nothing but their order, which holds between trials that were stopped at different rungs, where scores do
not; and it allows for a searcher that tries some values more often than others. Neither is true of the variance of
scores (fANOVA) or of a regression's permutation importance.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pamfn.seeding import generator
from tuning.conditions import matters
from tuning.domains import ChoiceDomain, Domain, FloatDomain, contains
from tuning.report.ticks import Scale
from tuning.space_model import Space
from tuning.tracking import TrialResult

FEWEST = 10  # trials of which anything can be said
AMONG = 5  # trials that are the best, at least; Optuna's advice
SHARE = 0.1  # of the trials that are the best
SHUFFLES = 100
CHANCE = 0.95


@dataclass(frozen=True)
class Importance:
    """How much one setting matters.

    Args:
        name: The setting.
        share: Of the importance of all settings.
        by_chance: What 19 of 20 settings that mean nothing would stay below, on the same scale.
    """

    name: str
    share: float
    by_chance: float

    @property
    def sure(self) -> bool:
        """Whether it is more than chance."""
        return self.share > self.by_chance


@dataclass(frozen=True)
class Importances:
    """How much the settings matter, the most important first.

    Args:
        settings: All of them.
        trials: How many trials were looked at.
        best: How many of them count as the best.
    """

    settings: tuple[Importance, ...]
    trials: int
    best: int


def importances(space: Space, ranked: Sequence[TrialResult]) -> Importances | None:
    """Returns how much the searched settings matter; None for a single setting, or too few trials.

    Args:
        space: What was searched.
        ranked: The trials that have a score, best first.
    """
    names = list(space.search)
    if len(names) < 2 or len(ranked) < FEWEST:
        return None
    best = max(AMONG, round(SHARE * len(ranked)))
    evaluate = _evaluation(space, ranked, best / len(ranked))
    order, random = np.arange(len(ranked)), generator(space.seed, "importance")
    true = evaluate(order)
    shuffled = [evaluate(random.permutation(order)) for _ in range(SHUFFLES)]
    total = sum(true.values()) or 1.0
    found = [
        Importance(name, true[name] / total, float(np.quantile([one[name] for one in shuffled], CHANCE)) / total)
        for name in names
    ]
    return Importances(tuple(sorted(found, key=lambda one: -one.share)), len(ranked), best)


def _evaluation(space: Space, ranked: Sequence[TrialResult], share: float) -> Any:
    """Returns what computes every setting's importance from an order of the trials."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    study.add_trials([_frozen(optuna, space, trial) for trial in ranked])
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=share)

    def evaluate(order: Any) -> Mapping[str, float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that low targets are good, which they are
            found: dict[str, float] = evaluator.evaluate(study, target=lambda trial: float(order[trial.number]))
        return {name: float(found.get(name, 0.0)) for name in space.search}

    return evaluate


def _frozen(optuna: Any, space: Space, trial: TrialResult) -> Any:
    """Returns a trial as Optuna knows it, with the settings that mattered to it."""
    values, distributions = {}, {}
    for name, domain in space.search.items():
        value = trial.values.get(name)
        if contains(domain, value) and matters(name, space.search, trial.values):
            place = Scale(name, domain).at(value)
            values[name] = value if not isinstance(domain, ChoiceDomain) else int(place or 0)
            distributions[name] = _distribution(optuna, domain)
    return optuna.trial.create_trial(params=values, distributions=distributions, value=0.0)


def _distribution(optuna: Any, domain: Domain) -> Any:
    if isinstance(domain, ChoiceDomain):
        return optuna.distributions.CategoricalDistribution(range(len(domain.values)))
    kind = optuna.distributions
    of = kind.FloatDistribution if isinstance(domain, FloatDomain) else kind.IntDistribution
    return of(domain.low, domain.high, log=domain.log)
