"""Syne Tune: its ASHA with random search, or with one of its searchers fitted to every trial's last value."""

from __future__ import annotations

import datetime
import logging
from typing import Any

import numpy as np
from syne_tune import config_space
from syne_tune.backend.trial_status import Trial
from syne_tune.optimizer.baselines import ASHA, ASHABORE, ASHACQR, BOHB
from syne_tune.optimizer.scheduler import SchedulerDecision

from pamfn.seeding import derive
from tuning.bench.methods import Setting
from tuning.bench.simulation import Answer, Assignment
from tuning.domains import ChoiceDomain, Domain, IntDomain

_EPOCH = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)  # when a trial began is asked for, and not used


class SyneTuneScheduler:
    """A scheduler as Syne Tune's tuner would drive it."""

    def __init__(self, setting: Setting, scheduler: Any) -> None:
        logging.getLogger("syne_tune").setLevel(logging.ERROR)  # its own baselines set off its own warning
        seed = derive(setting.seed, "syne tune") % 2**31
        np.random.seed(seed)  # noqa: NPY002 - from which its random search draws, whatever seed it is given
        rungs = {} if setting.grace is None else {"grace_period": setting.grace, "reduction_factor": setting.reduction}
        self._scheduler = scheduler(
            {name: _domain(domain) for name, domain in setting.domains.items()},
            metric="accuracy",
            time_attr="epoch",
            max_t=setting.epochs,
            do_minimize=False,
            random_seed=seed,
            **rungs,
        )
        self._trials: dict[str, Any] = {}

    def ask(self) -> Assignment:
        """Returns a new trial."""
        trial = Trial(len(self._trials), self._scheduler.suggest().config, _EPOCH)
        self._scheduler.on_trial_add(trial)
        self._trials[f"{trial.trial_id:04d}"] = trial
        return Assignment(f"{trial.trial_id:04d}", trial.config)

    def report(self, trial: str, epoch: int, accuracy: float) -> Answer:
        """Asks the scheduler, and tells it of the end that it decided on."""
        result = {"epoch": epoch, "accuracy": accuracy}
        if self._scheduler.on_trial_result(self._trials[trial], result) == SchedulerDecision.CONTINUE:
            return "goes on"
        self._scheduler.on_trial_remove(self._trials[trial])
        return "ends"


def random_search(setting: Setting) -> SyneTuneScheduler:
    """Returns ASHA with random search."""
    return SyneTuneScheduler(setting, ASHA)


def density_estimate(setting: Setting) -> SyneTuneScheduler:
    """Returns ASHA with kernel density estimates, which Syne Tune calls BOHB."""
    return SyneTuneScheduler(setting, BOHB)


def density_ratio(setting: Setting) -> SyneTuneScheduler:
    """Returns ASHA with BORE, which estimates a ratio of densities."""
    return SyneTuneScheduler(setting, ASHABORE)


def conformal_quantiles(setting: Setting) -> SyneTuneScheduler:
    """Returns ASHA with conformal quantile regression."""
    return SyneTuneScheduler(setting, ASHACQR)


def _domain(domain: Domain) -> Any:
    if isinstance(domain, ChoiceDomain):
        return config_space.choice(list(domain.values))
    if isinstance(domain, IntDomain):
        return (config_space.lograndint if domain.log else config_space.randint)(domain.low, domain.high)
    return (config_space.loguniform if domain.log else config_space.uniform)(domain.low, domain.high)
