"""The paper's own figures, to stand beside measured ones: every row of Tables I to VIII, and its own of Table IX.

All are of the released protocol: the best epoch on the test split, not the last one, each class trained for itself.
Tables I to VIII and what is told of Figure 6 are Spearman's correlations, averaged by Fisher's z; Table IX is of mean
average precisions, averaged plainly. They are as printed, misprints included (see ``MISPRINTS``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pamfn.published.rows import AVERAGE, DATA_SETS, TOPICS, Row
from pamfn.published.tables import FIGURE_6, MISPRINTS, STREAMS, TABLE_9, TABLES, Table

__all__ = [
    "AVERAGE",
    "DATA_SETS",
    "FIGURE_6",
    "MISPRINTS",
    "PAPER",
    "STREAMS",
    "TABLES",
    "TABLE_9",
    "TOPICS",
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
        classes: Spearman's correlation of each class, or the mean average precision of each topic.
        average: Their average, as printed.
    """

    source: str
    classes: dict[str, float]
    average: float


def _full_model(data: str, table: Table, where: str) -> Published:
    figures = table.rows[-1].figures[data]
    classes = {name: value for name, value in figures.items() if name != AVERAGE}
    return Published(f"{data}, {where}", classes, figures[AVERAGE])


PAPER = (
    *(_full_model(data, TABLES[0], "Tables I and II") for data in DATA_SETS),
    *(_full_model(data, TABLE_9, TABLE_9.name) for data in TOPICS),
)


def published(tasks: Sequence[str]) -> Published | None:
    """Returns the paper's figures for exactly these classes, in any order; None where it has none."""
    return next((figures for figures in PAPER if sorted(figures.classes) == sorted(tasks)), None)
