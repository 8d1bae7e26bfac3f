"""Ray Tune: its own ASHA and its HyperOpt searcher, called in the order in which Tune's controller calls them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler, TrialScheduler
from ray.tune.search.hyperopt import HyperOptSearch

from pamfn.seeding import derive
from tuning.bench.methods import Setting
from tuning.bench.simulation import Answer, Assignment
from tuning.domains import ChoiceDomain, Domain, IntDomain


class TuneWithoutRay:
    """A scheduler and a searcher as a controller would drive them, without a cluster."""

    def __init__(self, scheduler: Any, searcher: Any) -> None:
        self._scheduler, self._searcher, self._begun = scheduler, searcher, 0

    def ask(self) -> Assignment:
        """Returns a new trial."""
        trial = f"{self._begun:04d}"
        self._begun += 1
        config = self._searcher.suggest(trial)
        self._scheduler.on_trial_add(None, SimpleNamespace(trial_id=trial))
        return Assignment(trial, config)

    def report(self, trial: str, epoch: int, accuracy: float) -> Answer:
        """Asks the scheduler, and tells the searcher of the result or of the end."""
        result = {"training_iteration": epoch, "accuracy": accuracy}
        decision = self._scheduler.on_trial_result(None, SimpleNamespace(trial_id=trial), result)
        if decision == TrialScheduler.STOP:
            self._searcher.on_trial_complete(trial, result=result)
            return "ends"
        self._searcher.on_trial_result(trial, result)
        return "goes on"


def asha_hyperopt(setting: Setting) -> TuneWithoutRay:
    """Returns ASHA, which is told the epochs of a full training, with HyperOpt's TPE."""
    rungs = {} if setting.grace is None else {"grace_period": setting.grace, "reduction_factor": setting.reduction}
    scheduler = ASHAScheduler(metric="accuracy", mode="max", max_t=setting.epochs, **rungs)
    searcher = HyperOptSearch(metric="accuracy", mode="max", random_state_seed=derive(setting.seed, "ray") % 2**32)
    searcher.set_search_properties(None, None, {name: _domain(domain) for name, domain in setting.domains.items()})
    return TuneWithoutRay(scheduler, searcher)


def _domain(domain: Domain) -> Any:
    if isinstance(domain, ChoiceDomain):
        return tune.choice(list(domain.values))
    if isinstance(domain, IntDomain):  # Ray leaves the upper end of whole numbers out
        return (tune.lograndint if domain.log else tune.randint)(domain.low, domain.high + 1)
    return (tune.loguniform if domain.log else tune.uniform)(domain.low, domain.high)
