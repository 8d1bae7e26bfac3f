"""The paper's own figures, to stand beside measured ones: PAMFN's Spearman correlations of Tables I and II.

Both tables give the same row: VST, I3D and AST features, each class trained for itself, the average by Fisher's z. They
are the released protocol's numbers: the best epoch on the test split, not the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """What the paper reports for one data set.

    Args:
        source: The data set, and where the figures stand.
        classes: Spearman's correlation of each class.
        average: Their Fisher-z average, as printed.
    """

    source: str
    classes: dict[str, float]
    average: float


PAPER = (
    Published(
        source="Rhythmic Gymnastics, Tables I and II",
        classes={"Ball": 0.757, "Clubs": 0.825, "Hoop": 0.836, "Ribbon": 0.846},
        average=0.819,
    ),
    Published(source="Fis-V, Tables I and II", classes={"TES": 0.754, "PCS": 0.872}, average=0.822),
)


def published(tasks: Sequence[str]) -> Published | None:
    """Returns the paper's figures for exactly these classes, in any order; None where it has none."""
    return next((figures for figures in PAPER if sorted(figures.classes) == sorted(tasks)), None)
