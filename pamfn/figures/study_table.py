"""A study's ``results.parquet`` as the scores of Figure 6: each K at the best of its trials, fold by fold."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pamfn.data.rules import counted
from pamfn.metrics import fisher_mean

NETS, SCORE, REASON = "fusion_nets", "val_spearman", "status_reason"
AVERAGE, ONE_CLASS = "average", "all"
_FOLD = re.compile(rf"{SCORE}\.(?:(?P<task>.+)\.)?fold(?P<fold>\d+)")


@dataclass(frozen=True)
class StudyScores:
    """What a study says of K.

    Args:
        nets_K: The numbers of FusionNets tried to the end, ascending.
        scores: For each class, and last for their average if there are several, (K, folds).
        tried: How many trials each number had.
        unfinished: Trials that did not run their full budget, which are left out.
    """

    nets_K: NDArray[np.int64]
    scores: dict[str, NDArray[np.float64]]
    tried: dict[int, int]
    unfinished: int


def read_study(path: Path) -> StudyScores:
    """Reads a study's table.

    Raises:
        ValueError: If the file is no such table, K was not searched, or no trial ran its full budget; one line.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path}: cannot be read as a study's results.parquet ({_first_line(error)})") from error
    return scores_of(table, str(path))


def scores_of(table: pa.Table, told: str = "the table") -> StudyScores:
    """Returns what a study's table says of K.

    Args:
        table: The table.
        told: What messages call it.

    Raises:
        ValueError: If it is no such table, K was not searched, or no trial ran its full budget; one line.
    """
    folds = _folds(table.schema.names)
    missing = [name for name in (SCORE, REASON) if name not in table.schema.names]
    missing += [] if folds else [f"{SCORE}.<class>.fold0"]
    if missing:
        raise ValueError(f"{told}: is not a study's results.parquet: no column {', '.join(missing)}")
    if NETS not in table.schema.names:
        raise ValueError(f"{told}: {NETS} was not searched in this study, so that there is nothing to draw by K")
    rows = [row for row in table.to_pylist() if row[NETS] is not None]
    good = [row for row in rows if row[REASON] == "finished" and _is_whole(row, folds)]
    if not good:
        raise ValueError(
            f"{told}: none of {counted(len(rows), 'trial')} ran its full budget, and scores before that are no measure"
        )
    tried = Counter(int(row[NETS]) for row in good)
    best = {nets: max((r for r in good if int(r[NETS]) == nets), key=lambda r: float(r[SCORE])) for nets in tried}
    chosen = [best[nets] for nets in sorted(best)]
    scores = {task: np.array([[row[name] for name in of] for row in chosen]) for task, of in folds.items()}
    if len(scores) > 1:
        every = np.stack(list(scores.values()))  # (classes, K, folds)
        scores[AVERAGE] = np.array([[fisher_mean(of_fold) for of_fold in of.T] for of in every.transpose(1, 0, 2)])
    return StudyScores(np.array(sorted(best)), scores, dict(sorted(tried.items())), len(rows) - len(good))


def _folds(names: Sequence[str]) -> dict[str, list[str]]:
    """Returns the columns of each class's folds, in their order."""
    found: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        if match := _FOLD.fullmatch(name):
            found.setdefault(match["task"] or ONE_CLASS, []).append((int(match["fold"]), name))
    return {task: [name for _, name in sorted(of)] for task, of in found.items()}


def _is_whole(row: Mapping[str, Any], folds: Mapping[str, Sequence[str]]) -> bool:
    numbers = [row[SCORE], *(row[name] for of in folds.values() for name in of)]
    return all(number is not None and np.isfinite(number) for number in numbers)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
