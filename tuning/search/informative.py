"""Which rungs say anything about how trials will end: measured on the first trials, which pass the low rungs freely.

An early score can rank trials the wrong way round (a high learning rate leads after one epoch and loses after ten), and
successive halving at such a rung throws the best trials away. So with ``grace_epochs: auto`` the rungs go down to the
first epoch, and the lowest ones have to prove themselves: the first ``PILOT`` trials are trained to the anchor, the
second rung below the full budget (a ninth of it, where the reduction is 3), and a lower rung decides only if its scores
rank these trials as the anchor's do. The anchor and the rungs above it are taken on trust: to prove them as well, as
many trials would have to run their full budget.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import islice

from scipy.stats import spearmanr

PILOT = 10  # trials on which rungs are judged
LEAST = 0.7  # rank correlation with the anchor; of 10 trials that truly have .5, one set in five reaches it
BELOW = 2  # rungs from the full budget down to the anchor

Scores = Mapping[int, Mapping[str, float]]


class Informative:
    """Tells which rungs may decide.

    Args:
        rungs: How many rungs a full budget has, its end included.
    """

    def __init__(self, rungs: int) -> None:
        self.anchor = max(0, rungs - 1 - BELOW)

    def decides(self, rung: int, scores: Scores) -> bool:
        """Returns whether trials may be judged at a rung, from the scores by rung in the order of their arrival."""
        return rung >= self.anchor or (self.known(scores) and self.agreement(rung, scores) >= LEAST)

    def known(self, scores: Scores) -> bool:
        """Returns whether enough trials have come to the anchor to tell."""
        return len(scores.get(self.anchor, ())) >= PILOT

    def agreement(self, rung: int, scores: Scores) -> float:
        """Returns Spearman's correlation of a rung's scores with the anchor's over the pilot trials; 0 if constant."""
        pilots = list(islice(scores[self.anchor], PILOT))
        early, late = ([scores[at][trial] for trial in pilots] for at in (rung, self.anchor))
        if len(set(early)) < 2 or len(set(late)) < 2:
            return 0.0
        return float(spearmanr(early, late).statistic)

    def findings(self, scores: Scores) -> list[str]:
        """Returns a line on every rung below the anchor, for people; empty until it is known."""
        if not self.known(scores):
            return []
        return [self._finding(rung, self.agreement(rung, scores)) for rung in range(self.anchor)]

    def _finding(self, rung: int, agreement: float) -> str:
        measured = f"rank correlation {agreement:.2f} with rung {self.anchor} over {PILOT} trials"
        if math.isfinite(agreement) and agreement >= LEAST:
            return f"rung {rung} decides: {measured}"
        warning = "warning: the lowest rung says nothing" if rung == 0 else f"rung {rung} says too little"
        return f"{warning} ({measured}): no trial is stopped there"
