"""How a trial is written down: run names, parameter texts and metric names that people and MLflow can both read.

MLflow's compare page preselects the first three parameters by alphabet, reads parameters as text and cuts labels at ten
characters. So the searched settings keep their plain names and everything else of a run starts with ``with.``, which
sorts after every setting of a recipe.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tuning.score_metric import SPEARMAN, ScoreMetric

SHORT = {"fusion_nets": "K", "tau_init": "tau", "lr": "lr", "stages": "N"}
"""Searched settings that a run's name writes as the paper does, in this order; others follow under their own names."""

SHARED = "with."
"""Prefix of every parameter that was not searched."""

ALL = "All"
"""The level of a score's average over all replicas, beside those of its tasks or folds.

MLflow's chart view gives names with a slash sections of their own, above all others: there ``val_spearman`` comes after
every fold, and ``val_spearman/All``, the same curve, is the first on the page (capitals go before other letters).
"""

_FORBIDDEN = re.compile(r"[^\w.\- :]")  # MLflow also allows the slash, which separates levels here


def run_name(config: Mapping[str, Any]) -> str:
    """Returns a trial's name, such as ``K=8 tau=10 lr=5e-4 N=3``; empty if nothing is searched.

    Where the model is searched its name comes first, and alone: ``late_fusion lr=5e-4``.
    """
    ordered = [name for name in SHORT if name in config] + sorted(set(config) - {*SHORT, "model"})
    words = [f"{SHORT.get(name, name)}={short(config[name])}" for name in ordered]
    return " ".join([text(config["model"]), *words] if "model" in config else words)


def short(value: Any) -> str:
    """Returns a value for reading: three significant digits, small and large numbers as ``5e-4``."""
    if isinstance(value, float) and math.isfinite(value) and value != 0:
        rounded = float(f"{value:.3g}")
        if 1e-2 <= abs(rounded) < 1e5:
            return f"{rounded:g}"
        mantissa, exponent = f"{rounded:.2e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return text(value)


def text(value: Any) -> str:
    """Returns a value as a parameter's text; a number keeps every digit and can be read back."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "none"
    if isinstance(value, (list, tuple)):
        return "+".join(text(item) for item in value) or "none"
    return repr(value) if isinstance(value, float) else str(value)


def parameters(
    config: Mapping[str, Any], log_scaled: Iterable[str], shared: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Returns a trial's flat parameters: the searched ones by name, then the shared ones under ``with.``.

    Args:
        config: The searched settings and their values.
        log_scaled: Those of them searched on a log scale; each is also given as ``with.<name>_log10``, because the
            compare page draws linear axes only; the prefix keeps it from being preselected in another setting's place.
        shared: Everything else that made the run; entries of a mapping get one parameter each.
    """
    positive = {name: config[name] for name in log_scaled if config.get(name)}  # an inactive one may be 0 or null
    logs = {f"{SHARED}{name}_log10": round(math.log10(value), 4) for name, value in positive.items()}
    searched = {key: text(value) for key, value in sorted(config.items())} | {k: text(v) for k, v in logs.items()}
    rest = {name: value for name, value in (shared or {}).items() if name not in config}
    return searched | {legal(SHARED + key): text(value) for key, value in sorted(_flat(rest).items())}


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= {f"{name}.{key}": item for key, item in value.items()} if isinstance(value, Mapping) else {name: value}
    return flat


def legal(name: str) -> str:
    """Returns a name with every character that MLflow refuses replaced by an underscore."""
    return _FORBIDDEN.sub("_", name)


def score_metrics(replicas: Iterable[str], metric: ScoreMetric = SPEARMAN) -> dict[str, tuple[str, ...]]:
    """Maps each replica, ``task/fold0/seed0``, to the metrics its score is averaged into.

    That is ``val_spearman/fold0`` with one task, ``val_spearman/Ball`` and ``val_spearman/Ball/fold0`` with several,
    and ``val_map`` where ``metric`` is that; `ALL` stands before them. Tasks whose names differ only in characters that
    MLflow refuses get a number.
    """
    split = {name: tuple(name.rsplit("/", 2)[:2]) for name in replicas}
    tasks = list(dict.fromkeys(task for task, _ in split.values()))
    if len(tasks) == 1:
        return {name: (f"{metric.held_out}/{fold}",) for name, (_, fold) in split.items()}
    labels = _distinct([legal(task).strip(". ") or "task" for task in tasks])
    named = {task: f"{metric.held_out}/{label}" for task, label in zip(tasks, labels, strict=True)}
    return {name: (named[task], f"{named[task]}/{fold}") for name, (task, fold) in split.items()}


def _distinct(labels: Iterable[str]) -> list[str]:
    """Returns the labels with ``-2``, ``-3``.. added where one was there before."""
    seen: list[str] = []
    for label in labels:
        candidates = (label if n == 1 else f"{label}-{n}" for n in itertools.count(1))
        seen.append(next(candidate for candidate in candidates if candidate not in seen))
    return seen
