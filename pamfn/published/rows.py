"""One row of a table of the paper: what stands for what in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

AVERAGE = "average"
DATA_SETS = {"Rhythmic Gymnastics": ("Ball", "Clubs", "Hoop", "Ribbon"), "Fis-V": ("TES", "PCS")}
"""The paper's data sets of scores and their classes, in the order of its columns."""

TOPICS = {"YouTube Highlights": ("dog", "gymnastics", "parkour", "skating", "skiing", "surfing")}
"""Its data set of highlights and the topics, in the order of Table IX's columns."""

_CLASSES = DATA_SETS | TOPICS


@dataclass(frozen=True)
class Row:
    """One row.

    Args:
        value: What a space file has for it: a model of `pamfn.catalogue` with its streams, or in Figure 6 a K.
        label: What the paper calls it.
        group: The group of rows that it stands in; empty where a table has none.
        figures: By data set, the correlation of each class, or of each topic the mean average precision, and under
            ``AVERAGE`` their average, as printed.
    """

    value: Any
    label: str
    group: str = ""
    figures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def beside(self, classes: Sequence[str]) -> dict[str, float]:
        """Returns the figures of these classes, and the average where they are exactly those of a data set."""
        found: dict[str, float] = {}
        for data, figures in self.figures.items():
            found |= {name: figures[name] for name in _CLASSES[data] if name in classes}
            found |= {AVERAGE: figures[AVERAGE]} if sorted(_CLASSES[data]) == sorted(classes) else {}
        return found


def row(value: Any, label: str, group: str, printed: str) -> Row:
    """Returns a row from its numbers as printed: of each data set the classes, then their average.

    There are eight, of Rhythmic Gymnastics and Fis-V, or seven, of YouTube Highlights.
    """
    cells = printed.split()
    numbers, figures = iter(map(float, cells)), {}
    for data, classes in (TOPICS if len(cells) == 7 else DATA_SETS).items():
        figures[data] = {name: next(numbers) for name in (*classes, AVERAGE)}
    return Row(value, label, group, figures)
