"""Videos in memory: what is known of each (``Contents``), and their features (``FeatureSet``)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pamfn.data.schema import Schema


@dataclass(frozen=True, eq=False)
class Contents:
    """What is known of V videos besides their features.

    Args:
        schema: The data set they belong to.
        video_ids: Name of each video, unique.
        actions: Action class of each video.
        splits: ``train`` or ``test`` for each video.
        groups: Athlete, speaker or the like that folds must not split; None where unknown.
        scores: By name, shape (V,), as annotated; NaN where an action is not annotated with that score.
        lengths: Segments of each video, shape (V,).
    """

    schema: Schema
    video_ids: tuple[str, ...]
    actions: tuple[str, ...]
    splits: tuple[str, ...]
    groups: tuple[str | None, ...]
    scores: dict[str, NDArray[np.float64]]
    lengths: NDArray[np.int64]

    def __post_init__(self) -> None:
        columns = {"actions": self.actions, "splits": self.splits, "groups": self.groups, "lengths": self.lengths}
        for name, column in {**columns, **{f"score {k!r}": v for k, v in self.scores.items()}}.items():
            if len(column) != len(self):
                raise ValueError(f"{name}: {len(column)} values for {len(self)} videos")

    def __len__(self) -> int:
        return len(self.video_ids)

    def where(self, *, action: str | None = None, split: str | None = None) -> NDArray[np.int64]:
        """Returns the indices of the videos of one action and one split; None means any."""
        chosen = [action in (None, a) and split in (None, s) for a, s in zip(self.actions, self.splits, strict=True)]
        return np.flatnonzero(chosen)

    def annotated(self, action: str) -> tuple[str, ...]:
        """Returns the scores that the videos of an action have."""
        rows = self.where(action=action)
        return tuple(name for name, values in self.scores.items() if len(rows) and np.isfinite(values[rows]).all())


@dataclass(frozen=True, eq=False)
class FeatureSet(Contents):
    """V videos with their features, on the CPU, as NumPy arrays.

    Args:
        offsets: First row of each video in every array of ``features``, shape (V,).
        features: By modality, shape (sum of lengths, D), in the stored precision; rows of a video are consecutive.
        segment_labels: For highlight detection, shape (sum of lengths,).
    """

    offsets: NDArray[np.int64]
    features: dict[str, NDArray[Any]]
    segment_labels: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        rows = int(self.lengths.sum())
        if len(self) and (self.offsets.min() < 0 or (self.offsets + self.lengths).max() > rows):
            raise ValueError(f"offsets: a video ends at row {(self.offsets + self.lengths).max()} of {rows}")
        for name, values in self.features.items():
            width = self.schema.modalities.get(name)
            if values.shape != (rows, width):
                raise ValueError(f"features of {name!r}: shape {values.shape} is not {(rows, width)}")
        if self.segment_labels is not None and self.segment_labels.shape != (rows,):
            raise ValueError(f"segment_labels: shape {self.segment_labels.shape} is not {(rows,)}")

    def rows(self, indices: ArrayLike | None = None) -> NDArray[np.int64]:
        """Returns the rows of these videos in ``features``, one video after the other (all videos by default)."""
        chosen = np.arange(len(self)) if indices is None else np.asarray(indices, dtype=np.int64)
        lengths = self.lengths[chosen]
        first = np.cumsum(lengths) - lengths
        shifts: NDArray[np.int64] = np.repeat(self.offsets[chosen] - first, lengths)
        return shifts + np.arange(len(shifts), dtype=np.int64)

    def subset(self, indices: ArrayLike) -> FeatureSet:
        """Returns a copy that holds these videos only, in this order; the schema keeps the digest of the whole."""
        chosen = np.asarray(indices, dtype=np.int64)
        rows, lengths = self.rows(chosen), self.lengths[chosen]
        labels = self.segment_labels
        return FeatureSet(
            **contents_of(self, chosen),
            offsets=np.cumsum(lengths) - lengths,
            features={name: values[rows] for name, values in self.features.items()},
            segment_labels=None if labels is None else labels[rows],
        )

    def sealed(self) -> FeatureSet:
        """Returns the same videos with the digest of their content in the schema."""
        schema = dataclasses.replace(self.schema, digest=content_digest(self))
        return dataclasses.replace(self, schema=schema)


def contents_of(source: Contents, indices: Iterable[int]) -> dict[str, Any]:
    """Returns the fields of ``Contents`` for some videos, in the order of ``indices``."""
    chosen = np.asarray(list(indices), dtype=np.int64)

    def pick(column: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(column[i] for i in chosen)

    return {
        "schema": source.schema,
        "video_ids": pick(source.video_ids),
        "actions": pick(source.actions),
        "splits": pick(source.splits),
        "groups": pick(source.groups),
        "scores": {name: values[chosen] for name, values in source.scores.items()},
        "lengths": source.lengths[chosen],
    }


def content_digest(features: FeatureSet) -> str:
    """Returns the SHA-256 of what the videos are, independent of their order and of how they are stored in files."""
    videos = sorted(_video_digest(features, index) for index in range(len(features)))
    largest = sorted((name, float(value)) for name, value in features.schema.scores.items())
    whole = hashlib.sha256(json.dumps(largest).encode())
    for video in videos:
        whole.update(video)
    return whole.hexdigest()


def _video_digest(features: FeatureSet, index: int) -> bytes:
    rows = slice(int(features.offsets[index]), int(features.offsets[index] + features.lengths[index]))
    arrays = {name: features.features[name][rows] for name in sorted(features.features)}
    if features.segment_labels is not None:
        arrays["segment_labels"] = features.segment_labels[rows].astype(np.float32)
    scores = [(name, repr(float(values[index]))) for name, values in sorted(features.scores.items())]
    shapes = [(name, array.dtype.str, array.shape) for name, array in arrays.items()]
    known = [features.video_ids[index], features.actions[index], features.splits[index], features.groups[index]]
    digest = hashlib.sha256(json.dumps([known, scores, shapes]).encode())
    for array in arrays.values():
        digest.update(np.ascontiguousarray(array).data)
    return digest.digest()
