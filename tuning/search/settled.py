"""Whether another trial is still worth its time: the gain to be expected of it against the noise of the score.

Makarova et al., "Automatic Termination for Hyperparameter Optimization" (AutoML 2022): once the improvement that is
left is smaller than the statistical error of the score itself, a further trial can only choose among noise. The gain is
the expected improvement of a Gaussian process over the best configuration so far (``gaussian``), the noise the standard
error of that configuration's score over its folds; both on Fisher's z scale.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tuning.search.proposing import Observation, known_of
from tuning.search.region import Region

LEAST = 20  # trials with a score before anything is concluded from them


def settled(region: Region, observations: Sequence[Observation]) -> str | None:
    """Returns why no further trial is worth starting; None as long as one is, or where the noise is not known."""
    known = known_of(observations)
    ranked = sorted(
        (i for i, (_, score, _) in enumerate(known) if score is not None), key=lambda i: -(known[i][1] or 0)
    )
    if not region.names or len(ranked) < LEAST:
        return None
    from tuning.search.gaussian import around, believe  # a second of imports that few studies need

    noise, belief = observations[ranked[0]].error, believe(region, known)
    if noise is None or belief is None:
        return None
    leaders = [known[i][0] for i in ranked[:5]]
    gain = float(belief.gain(around(region, leaders, np.random.default_rng(len(known)))).max())
    if gain >= noise:
        return None
    return (
        f"another trial is expected to gain {gain:.4f}, less than the score's standard error of {noise:.4f} "
        f"(Fisher z, after {len(ranked)} trials)"
    )
