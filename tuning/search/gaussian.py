"""One suggestion of a Gaussian process, and what another trial may be expected to gain, as pure functions.

Scores are modelled on Fisher's z scale over the latent numbers of the settings: a Matern kernel (nu = 5/2) with a
length scale for each setting, and noise. The next configuration has the largest expected improvement (Jones, Schonlau
and Welch, 1998) over the best mean at what has been tried; trials without a score count with the score expected of them
(the "kriging believer" of Ginsbourger et al., 2010), which leads away from them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from threadpoolctl import threadpool_limits

from tuning.domains import ChoiceDomain, same_value
from tuning.search.noise import fisher_z
from tuning.search.region import Region, spelled

Array = NDArray[np.float64]

DRAWS = 500  # configurations drawn from the whole region to choose among
LEADERS = 5  # configurations around which more are drawn
NEAR, REACH = 30, (0.05, 0.15, 0.3)  # drawn around each of the best trials: how many, how far
CLOSER, ROUNDS = (0.02, 0.1), 2  # and around those with the largest gain: how far, how many times
SHORTEST = 0.15  # length scale, of a range: shorter ones read patterns into the few trials that there are
MOST = 200  # trials with a score that are modelled; a study's latest, and the best of those before them
WAITING = 200  # trials without a score that are; the latest
_BEST = 50  # of them


class _Model(Protocol):
    kernel_: Any

    def predict(self, X: Array, return_std: bool = False) -> Any: ...


@dataclass(frozen=True)
class Belief:
    """What a Gaussian process makes of a study.

    Args:
        region: What is searched.
        model: The process, of standardised scores over rows as ``rows`` makes them.
        tried: The rows of trials with a score.
        best: The best mean at them, standardised.
        scale: One standard deviation of the scores on Fisher's z scale.
        noise: Variance of the noise, standardised.
    """

    region: Region
    model: _Model
    tried: Array
    best: float
    scale: float
    noise: float

    def gain(self, configs: Sequence[Mapping[str, Any]]) -> Array:
        """Returns the expected improvement of each configuration over the best so far, on Fisher's z scale."""
        with threadpool_limits(1):
            mean, deviation = self.model.predict(rows(self.region, configs), return_std=True)
        deviation = np.sqrt(np.maximum(deviation**2 - self.noise, 1e-10))
        ahead = (mean - self.best) / deviation
        improvement: Array = self.scale * deviation * (ahead * norm.cdf(ahead) + norm.pdf(ahead))
        return improvement


def suggest(
    region: Region,
    observed: Sequence[tuple[Mapping[str, Any], float | None, bool]],
    generator: np.random.Generator,
    tried: Set[str] | None = None,
) -> dict[str, Any] | None:
    """Returns the untried configuration with the largest expected improvement; None while scores tell nothing apart.

    Args:
        region: What is searched.
        observed: Configurations with their comparable scores (None for none so far) and whether they failed; a failed
            one counts as the worst.
        generator: Draws what is chosen among.
        tried: The configurations of all of them as ``spelled``, where that is known.
    """
    belief = believe(region, observed)
    if belief is None:
        return None
    ranked = sorted((o for o in observed if o[1] is not None), key=lambda o: -(o[1] or 0.0))
    choices = around(region, [config for config, *_ in ranked[:LEADERS]], generator)
    for _ in range(ROUNDS):
        ahead = [choices[place] for place in np.argsort(-belief.gain(choices), kind="stable")[:LEADERS]]
        choices = ahead + _near(region, ahead, CLOSER, generator)
    tried = {spelled(config) for config, *_ in observed} if tried is None else tried
    new = [config for config in choices if spelled(config) not in tried]  # noise makes the best worth another look
    return new[int(np.argmax(belief.gain(new)))] if new else None


def believe(region: Region, observed: Sequence[tuple[Mapping[str, Any], float | None, bool]]) -> Belief | None:
    """Returns what the trials so far lead to expect; None with fewer than three different scores."""
    places = {place: fisher_z(score) for place, (_, score, _) in enumerate(observed) if score is not None}
    if len({*places.values()}) < 3:
        return None
    worst = min(places.values())
    places |= {place: worst for place, (_, score, failed) in enumerate(observed) if score is None and failed}
    known = [(observed[place][0], score) for place, score in _thinned(places).items()]
    waiting = [config for config, score, failed in observed if score is None and not failed][-WAITING:]
    features = rows(region, [config for config, _ in known])
    scores = np.array([score for _, score in known])
    middle, scale = float(scores.mean()), float(scores.std())
    targets = (scores - middle) / scale
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length scale at its bound: a setting without effect
        model = GaussianProcessRegressor(_kernel(features.shape[1]), alpha=1e-8).fit(features, targets)
        noise = math.exp(model.kernel_.theta[-1])
        best = float(model.predict(features).max())
        if waiting:
            more = rows(region, waiting)
            everything = np.vstack([features, more]), np.concatenate([targets, model.predict(more)])
            model = GaussianProcessRegressor(model.kernel_, alpha=1e-8, optimizer=None).fit(*everything)
    return Belief(region, model, features, best, scale, noise)


def around(
    region: Region, leaders: Sequence[Mapping[str, Any]], generator: np.random.Generator
) -> list[dict[str, Any]]:
    """Returns configurations to choose among: drawn from the whole region, and near the best ones."""
    return [region.draw(generator) for _ in range(DRAWS)] + _near(region, leaders, REACH, generator)


def rows(region: Region, configs: Sequence[Mapping[str, Any]]) -> Array:
    """Returns configurations as rows of numbers from 0 to 1: a column a number, one a value of a choice."""
    low, high = region.bounds().T
    latents = (np.array([region.encode(config) for config in configs]) - low) / (high - low)
    columns = []
    for place, (name, domain) in enumerate(region.domains.items()):
        if isinstance(domain, ChoiceDomain):
            values = [config[name] for config in configs]
            columns += [np.array([float(same_value(value, member)) for value in values]) for member in domain.values]
        else:
            columns.append(latents[:, place])
    return np.stack(columns, axis=1)


def _near(
    region: Region, leaders: Sequence[Mapping[str, Any]], reaches: Sequence[float], generator: np.random.Generator
) -> list[dict[str, Any]]:
    """Returns configurations that differ from one of the leaders in about half of the settings, by a normal step."""
    low, high = region.bounds().T
    near = []
    for leader in leaders:
        for reach in reaches:
            moves = generator.normal(0.0, reach, (NEAR, len(low))) * (generator.random((NEAR, len(low))) < 0.5)
            latents = np.clip(region.encode(leader) + moves * (high - low), low, high)
            near += [region.decode(latent) for latent in latents]
    return [config for config in near if region.allowed(config)]


def _kernel(columns: int) -> Any:
    shape = Matern(np.full(columns, 0.5), (SHORTEST, 10.0), nu=2.5)
    return ConstantKernel(1.0, (0.1, 10.0)) * shape + WhiteKernel(0.05, (1e-4, 1.0))


def _thinned(places: dict[int, float]) -> dict[int, float]:
    """Returns at most ``MOST`` scores by the place of their trials: the work grows with the third power of them."""
    if len(places) <= MOST:
        return places
    ordered = sorted(places)
    latest, before = ordered[-(MOST - _BEST) :], ordered[: -(MOST - _BEST)]
    best = sorted(before, key=lambda place: -places[place])[:_BEST]
    return {place: places[place] for place in [*best, *latest]}
