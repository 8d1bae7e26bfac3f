"""One suggestion of HyperOpt's tree-structured Parzen estimator, as a pure function of what was observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import hyperopt
from hyperopt import hp, tpe

from tuning.domains import ChoiceDomain, Domain
from tuning.search.drawing import bounds, decode, encode

_NO_OBJECTIVE = "the search only asks for points; trials are run by Ray Tune"


def suggest(
    domains: Mapping[str, Domain],
    observed: Sequence[tuple[Mapping[str, Any], float | None]],
    *,
    seed: int,
) -> dict[str, Any]:
    """Returns the configuration that HyperOpt's TPE (Bergstra et al., 2011) suggests next; more is better.

    HyperOpt is handed everything anew for each suggestion and keeps no state, so a study's searcher can be saved as
    plain records, and the same observations give the same suggestion after a restart.

    Args:
        domains: The searched settings.
        observed: Configurations in the order in which they were suggested, each with its score. None stands for a
            trial that failed, or has no score yet: HyperOpt counts it among the bad ones, which leads it away from
            settings that diverge and from points that are being tried.
        seed: Seed of HyperOpt's draws.
    """
    trials = hyperopt.Trials()
    if observed:
        trials.insert_trial_docs([_document(trials, i, domains, *pair) for i, pair in enumerate(observed)])
    trials.refresh()
    domain = hyperopt.Domain(_objective, {name: _latent(name, domain) for name, domain in domains.items()})
    [document] = tpe.suggest([len(observed)], domain, trials, seed, n_startup_jobs=0, verbose=False)
    latents = {name: values[0] for name, values in document["misc"]["vals"].items()}
    return {name: decode(domain, latents[name]) for name, domain in domains.items()}


def _latent(name: str, domain: Domain) -> Any:
    if isinstance(domain, ChoiceDomain):
        return hp.randint(name, len(domain.values))
    return hp.uniform(name, *bounds(domain))


def _document(
    trials: hyperopt.Trials, tid: int, domains: Mapping[str, Domain], config: Mapping[str, Any], score: float | None
) -> dict[str, Any]:
    """Returns one observation in HyperOpt's form; HyperOpt minimises."""
    latents = {name: encode(domain, config[name]) for name, domain in domains.items()}
    values = {name: [int(x) if isinstance(domains[name], ChoiceDomain) else x] for name, x in latents.items()}
    misc = {"tid": tid, "cmd": None, "workdir": None, "idxs": {name: [tid] for name in domains}, "vals": values}
    result = {"status": hyperopt.STATUS_FAIL} if score is None else {"status": hyperopt.STATUS_OK, "loss": -score}
    [document] = trials.new_trial_docs([tid], [None], [result], [misc])
    document["state"] = hyperopt.JOB_STATE_DONE  # HyperOpt would forget a JOB_STATE_ERROR instead of avoiding it
    return dict(document)


def _objective(config: Any) -> float:
    raise NotImplementedError(_NO_OBJECTIVE)
