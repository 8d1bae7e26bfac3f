"""Optuna: its TPE sampler (multivariate, with the constant liar: the defaults of version 5) and two pruners.

Driven by ask and tell as its manual shows: an intermediate value after every epoch, a pruned trial told as pruned.
"""

from __future__ import annotations

from typing import Any

import optuna

from pamfn.seeding import derive
from tuning.bench.methods import Setting
from tuning.bench.simulation import Answer, Assignment
from tuning.domains import ChoiceDomain, Domain, IntDomain


class OptunaStudy:
    """A study in memory with a pruner, every other setting at its default."""

    def __init__(self, setting: Setting, pruner: Any) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._epochs = setting.epochs
        self._space = {name: _distribution(domain) for name, domain in setting.domains.items()}
        sampler = optuna.samplers.TPESampler(seed=derive(setting.seed, "optuna") % 2**32)
        # The name decides on the brackets of Hyperband; Optuna's own would be drawn anew in every process.
        self._study = optuna.create_study(
            direction="maximize", sampler=sampler, pruner=pruner, study_name=f"study {setting.seed}"
        )
        self._trials: dict[str, Any] = {}

    def ask(self) -> Assignment:
        """Returns a new trial."""
        trial = self._study.ask(self._space)
        self._trials[f"{trial.number:04d}"] = trial
        return Assignment(f"{trial.number:04d}", trial.params)

    def report(self, trial: str, epoch: int, accuracy: float) -> Answer:
        """Reports to the trial, and ends it if it is to be pruned or has its last epoch behind it."""
        asked = self._trials[trial]
        asked.report(accuracy, epoch)
        if epoch == self._epochs:
            self._study.tell(asked, accuracy)
        elif asked.should_prune():
            self._study.tell(asked, state=optuna.trial.TrialState.PRUNED)
        else:
            return "goes on"
        return "ends"


def successive_halving(setting: Setting) -> OptunaStudy:
    """Returns TPE with asynchronous successive halving."""
    if setting.grace is None:
        return OptunaStudy(setting, optuna.pruners.SuccessiveHalvingPruner())
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=setting.grace, reduction_factor=setting.reduction)
    return OptunaStudy(setting, pruner)


def hyperband(setting: Setting) -> OptunaStudy:
    """Returns TPE with Hyperband, which is told the epochs of a full training, as its manual recommends."""
    if setting.grace is None:
        return OptunaStudy(setting, optuna.pruners.HyperbandPruner(max_resource=setting.epochs))
    pruner = optuna.pruners.HyperbandPruner(
        min_resource=setting.grace, max_resource=setting.epochs, reduction_factor=setting.reduction
    )
    return OptunaStudy(setting, pruner)


def _distribution(domain: Domain) -> Any:
    if isinstance(domain, ChoiceDomain):
        return optuna.distributions.CategoricalDistribution(domain.values)
    if isinstance(domain, IntDomain):
        return optuna.distributions.IntDistribution(domain.low, domain.high, log=domain.log)
    return optuna.distributions.FloatDistribution(domain.low, domain.high, log=domain.log)
