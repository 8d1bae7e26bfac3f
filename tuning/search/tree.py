"""One suggestion of HyperOpt's tree-structured Parzen estimator, as a pure function of what was observed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import hyperopt
import numpy as np
from hyperopt import hp, tpe

from tuning.domains import ChoiceDomain, Domain
from tuning.drawing import bounds, decode, encode
from tuning.search.region import Region

_ATTEMPTS = 16  # suggestions to look at before one that satisfies every constraint is drawn at random
_LATEST = 300  # trials with a score that are told; of those before them the good ones alone
_PENDING = 200  # trials without a score that are told: the latest
_GAMMA, _GOOD = 0.25, 25  # HyperOpt's: of n trials the best gamma times the root of n count as good, or 25
_NO_OBJECTIVE = "the search only asks for points; trials are run by Ray Tune"


def suggest(
    region: Region,
    observed: Sequence[tuple[Mapping[str, Any], float | None]],
    *,
    seed: int,
) -> dict[str, Any]:
    """Returns the configuration that HyperOpt's TPE (Bergstra et al., 2011) suggests next; more is better.

    HyperOpt is handed everything anew for each suggestion and keeps no state, so a study's searcher can be saved as
    plain records, and the same observations give the same suggestion after a restart. Of each configuration it is told
    the active settings alone: what a setting's value was worth is learnt where the setting mattered. HyperOpt knows
    nothing of constraints: its suggestions are asked for until one satisfies them.

    Of thousands of trials it is told some: what it is told, it goes through anew. The good ones, of which it takes
    25 at most, are those of all trials, and as many; of the bad ones it forgets the older ones by itself, bit by bit,
    and here they are left out. Up to 200 trials none is.

    Args:
        region: What is searched.
        observed: Configurations in the order in which they were suggested, each with its score. None stands for a
            trial that failed, or has no score yet: HyperOpt counts it among the bad ones, which leads it away from
            settings that diverge and from points that are being tried.
        seed: Seed of HyperOpt's draws.
    """
    trials, told = hyperopt.Trials(), _told([score for _, score in observed])
    gamma = _GAMMA if len(told) == len(observed) else _GAMMA * math.sqrt(len(observed) / len(told))
    if told:
        trials.insert_trial_docs([_document(trials, place, region, *observed[place]) for place in told])
    trials.refresh()
    latents = {name: _latent(name, domain) for name, domain in region.domains.items()}
    space = hyperopt.Domain(_objective, latents)
    for attempt in range(_ATTEMPTS):
        again = seed if attempt == 0 else int(np.random.default_rng([seed, attempt]).integers(2**31))
        [document] = tpe.suggest([len(observed)], space, trials, again, n_startup_jobs=0, gamma=gamma, verbose=False)
        values = document["misc"]["vals"]
        config = region.canonical({name: decode(domain, values[name][0]) for name, domain in region.domains.items()})
        if region.allowed(config):
            return config
    return region.draw(np.random.default_rng(seed))


def _told(scores: Sequence[float | None]) -> list[int]:
    """Returns the places of the trials that HyperOpt is told of, in the order of their suggestion."""
    scored = [place for place, score in enumerate(scores) if score is not None]
    pending = [place for place, score in enumerate(scores) if score is None]
    before, latest = scored[:-_LATEST], scored[-_LATEST:]
    good = min(_GOOD, math.ceil(_GAMMA * math.sqrt(len(scores))))
    best = sorted(before, key=lambda place: -(scores[place] or 0.0))[:good]
    return sorted([*best, *latest, *pending[-_PENDING:]])


def _latent(name: str, domain: Domain) -> Any:
    if isinstance(domain, ChoiceDomain):
        return hp.randint(name, len(domain.values))
    return hp.uniform(name, *bounds(domain))


def _document(
    trials: hyperopt.Trials, tid: int, region: Region, config: Mapping[str, Any], score: float | None
) -> dict[str, Any]:
    """Returns one observation in HyperOpt's form; HyperOpt minimises."""
    active = region.active(config)
    values = {n: [_number(domain, config[n])] if n in active else [] for n, domain in region.domains.items()}
    idxs = {name: [tid] if name in active else [] for name in region.domains}
    misc = {"tid": tid, "cmd": None, "workdir": None, "idxs": idxs, "vals": values}
    result = {"status": hyperopt.STATUS_FAIL} if score is None else {"status": hyperopt.STATUS_OK, "loss": -score}
    [document] = trials.new_trial_docs([tid], [None], [result], [misc])
    document["state"] = hyperopt.JOB_STATE_DONE  # HyperOpt would forget a JOB_STATE_ERROR instead of avoiding it
    return dict(document)


def _number(domain: Domain, value: Any) -> float | int:
    latent = encode(domain, value)
    return int(latent) if isinstance(domain, ChoiceDomain) else latent


def _objective(config: Any) -> float:
    raise NotImplementedError(_NO_OBJECTIVE)
