"""What a trial's result says about its rungs, whichever of Tune's two forms (nested or flattened) it comes in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

METRIC = "val_spearman"
_FINISHED = 1 - 1e-9  # progress is a float; a full budget may miss 1 by rounding


@dataclass(frozen=True)
class Reading:
    """A result as the search sees it.

    Args:
        rung: Rung completed by this result; -1 between rungs.
        scores: Score at every rung completed so far, finite ones only; a rung that ended the trial is not among them.
        progress: Share of the full budget that has been trained.
        fault: Why the trial must end, such as ``val_spearman is nan at rung 1``; empty while it is healthy.
        done: Whether the trial has ended, by itself or by a decision.
    """

    rung: int
    scores: dict[int, float]
    progress: float
    fault: str
    done: bool

    @property
    def finished(self) -> bool:
        """Whether the full budget has been trained in good health."""
        return not self.fault and self.progress >= _FINISHED


NOTHING = Reading(rung=-1, scores={}, progress=0.0, fault="", done=False)
"""What is known of a trial that has not reported."""


def has_reported(result: Mapping[str, Any]) -> bool:
    """Tells whether a last result is one of ours; Tune gives a trial that has not reported one without scores."""
    return METRIC in result or "rung" in result


def read(result: Mapping[str, Any]) -> Reading:
    """Returns what a result says; a result that breaks the rules reads as a fault, never as an exception."""
    rung = result.get("rung")
    if isinstance(rung, bool) or not isinstance(rung, Integral) or rung < -1:
        at, fault = -1, f"rung is {rung!r}; it must be the index of a rung, or -1 between rungs"
    else:
        at = int(rung)
        fault = str(result.get("status_reason") or "") or _fault_of_score(result, at)
    scores = _completed(result)
    if at >= 0 and not fault:
        scores.setdefault(at, float(result[METRIC]))
    if fault:
        scores.pop(at, None)
    progress = _finite(result.get("progress")) or 0.0
    return Reading(rung=at, scores=scores, progress=progress, fault=fault, done=bool(result.get("done")))


def _fault_of_score(result: Mapping[str, Any], rung: int) -> str:
    score = result.get(METRIC)
    if _finite(score) is not None or (score is None and rung < 0):
        return ""
    place = f"at rung {rung}" if rung >= 0 else "between rungs"
    if METRIC not in result:
        return f"{METRIC} is missing {place}"
    return f"{METRIC} is {score if isinstance(score, Real) else repr(score)} {place}; it must be a finite number"


def _completed(result: Mapping[str, Any]) -> dict[int, float]:
    """Returns ``rung_scores``, a dict in a nested result and ``rung_scores/0`` and so on in a flattened one."""
    nested = result.get("rung_scores")
    pairs = nested.items() if isinstance(nested, Mapping) else _flattened(result, "rung_scores/")
    scores = {int(rung): _finite(score) for rung, score in pairs if str(rung).isdigit()}
    return {rung: score for rung, score in scores.items() if score is not None}


def _flattened(result: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    return [(key.removeprefix(prefix), value) for key, value in result.items() if key.startswith(prefix)]


def _finite(value: Any) -> float | None:
    """Returns a value as a float, or None if it is no finite number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    return float(value) if math.isfinite(value) else None
