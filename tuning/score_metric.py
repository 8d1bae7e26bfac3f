"""What the networks of a study are judged by: how its scores are averaged, on which scale, and all names made of it.

A study of scores is judged by Spearman's correlation, one of highlights by mean average precision (Sec. IV-G). In
results, journals and checkpoints the score is called ``val_spearman`` whichever it is: that key is the objective's.
People and MLflow read the names that are made here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pamfn.metrics import AVERAGES, CLIP, fisher_mean
from tuning.space_model import Space

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ScoreMetric:
    """What networks are judged by.

    Args:
        name: Its name in `pamfn.metrics.AVERAGES` and `pamfn.phases.report.Report`.
        title: What a table's column is called.
        words: What a sentence calls it.
        mean_words: What a sentence calls its average.
    """

    name: str
    title: str
    words: str
    mean_words: str

    @property
    def fisher(self) -> bool:
        """Whether it is averaged, and compared, on Fisher's z scale."""
        return AVERAGES[self.name] is fisher_mean

    def average(self, values: ArrayLike) -> float:
        """Returns the average of scores, all of them alike; one NaN makes it NaN."""
        return AVERAGES[self.name](values)

    def scaled(self, values: ArrayLike) -> Array:
        """Returns scores on the scale on which their plain mean is their average: Fisher's z, clipped, or their own."""
        scores = np.asarray(values, dtype=np.float64)
        return np.arctanh(np.clip(scores, -CLIP, CLIP)) if self.fisher else scores

    def unscaled(self, values: ArrayLike) -> Array:
        """Returns scores of what ``scaled`` returned."""
        scaled = np.asarray(values, dtype=np.float64)
        return np.tanh(scaled) if self.fisher else scaled

    @property
    def held_out(self) -> str:
        """The score on the held-out folds, and the start of its parts' names: ``val_spearman``."""
        return f"val_{self.name}"

    @property
    def best(self) -> str:
        """The best score of any epoch: ``best_val_spearman``."""
        return f"best_val_{self.name}"

    @property
    def first_folds(self) -> str:
        """The score of the folds that went ahead: ``first_folds_spearman``."""
        return f"first_folds_{self.name}"

    @property
    def branch(self) -> str:
        """The start of what a modality's branch scores alone: ``branch_spearman.``, then the modality."""
        return f"branch_{self.name}."

    @property
    def test(self) -> str:
        """The score on the test split, and the start of its interval's ends: ``final_test_spearman``."""
        return f"final_test_{self.name}"

    def fold_in(self, name: str) -> re.Match[str] | None:
        """Returns the groups ``task``, None for a study of one, and ``fold`` if a name is that of a fold's score.

        Levels are parted by dots, or by slashes as MLflow has them.
        """
        return re.fullmatch(rf"{re.escape(self.held_out)}[./](?:(?P<task>.+)[./])?fold(?P<fold>\d+)", name)


SPEARMAN = ScoreMetric("spearman", "Spearman", "Spearman's correlation", "Fisher-z mean of Spearman's correlation")
MAP = ScoreMetric("map", "mAP", "mean average precision", "mean of the mean average precisions")
METRICS = {metric.name: metric for metric in (SPEARMAN, MAP)}


def metric_of(space: Space) -> ScoreMetric:
    """Returns what the networks of a space are judged by: one thing, since ``task`` is not searched."""
    return MAP if space.value("task") == "highlights" else SPEARMAN
