"""The configurations that a study may draw: the first point and the fixed ones, then others at random."""

from __future__ import annotations

from typing import Any

import numpy as np

from tuning.space_model import Space


def drawn(space: Space, count: int, seed: int) -> list[dict[str, Any]]:
    """Returns the first point, the fixed points, and at random as many more as make ``count``."""
    generator, region = np.random.default_rng(seed), space.region
    given = [space.first_point(), *space.fixed_points()][:count]
    return given + [region.draw(generator) for _ in range(count - len(given))]


def trials_of(space: Space) -> int:
    """Returns the trials of a study: as many as it may have, or as its space has configurations."""
    everything = space.region.grid()
    return space.budget.trials if everything is None else min(space.budget.trials, len(everything))
