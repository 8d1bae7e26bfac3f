"""The paper's own figures, to stand beside measured ones: every row of Tables I to VIII and what is told of Figure 6.

All are of the released protocol: Spearman's correlation of the best epoch on the test split, not of the last one, each
class trained for itself, averages by Fisher's z. They are as printed, misprints included (see ``MISPRINTS``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pamfn.published.rows import AVERAGE, DATA_SETS, Row
from pamfn.published.tables import FIGURE_6, MISPRINTS, STREAMS, TABLES, Table

__all__ = [
    "AVERAGE",
    "DATA_SETS",
    "FIGURE_6",
    "MISPRINTS",
    "PAPER",
    "STREAMS",
    "TABLES",
    "Published",
    "Row",
    "Table",
    "published",
]


@dataclass(frozen=True)
class Published:
    """What the paper reports of PAMFN for one data set.

    Args:
        source: The data set, and where the figures stand.
        classes: Spearman's correlation of each class.
        average: Their Fisher-z average, as printed.
    """

    source: str
    classes: dict[str, float]
    average: float


def _full_model(data: str) -> Published:
    figures = TABLES[0].rows[-1].figures[data]
    classes = {name: figures[name] for name in DATA_SETS[data]}
    return Published(f"{data}, Tables I and II", classes, figures[AVERAGE])


PAPER = tuple(map(_full_model, DATA_SETS))


def published(tasks: Sequence[str]) -> Published | None:
    """Returns the paper's figures for exactly these classes, in any order; None where it has none."""
    return next((figures for figures in PAPER if sorted(figures.classes) == sorted(tasks)), None)
