"""The rules that every video obeys, whichever source or shard it comes from; a broken one is a line of text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pamfn.data.features import Contents, FeatureSet
from pamfn.data.schema import LONGEST_NAME

SPLITS = ("train", "test")
_ROWS_AT_ONCE = 4096


def counted(number: int, noun: str) -> str:
    """Returns a number and its noun: ``1 video``, ``2 videos``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def score_fault(name: str, value: float, largest: float) -> str | None:
    """Returns the rule that a score breaks, if any: it lies in [0, C]."""
    if math.isnan(value):
        return f"score {name!r} is missing (read as {value}); every video needs one"
    if not 0 <= value <= largest:
        return f"score {name!r} is {value:g}, outside 0 to {largest:g}; correct it, or give the true C by --score-max"
    return None


def name_fault(name: str) -> str | None:
    """Returns the rule that the name of a video, an action or a group breaks, if any."""
    if len(name) <= LONGEST_NAME and name.isprintable():
        return None
    shown = repr(name if len(name) <= LONGEST_NAME else f"{name[:20]}...")
    return f"{shown} has {len(name)} characters; a name has {LONGEST_NAME} at most, all of them printable"


def split_fault(split: str) -> str | None:
    """Returns the rule that a split breaks, if any."""
    return None if split in SPLITS else f"split {split!r} is not one of {', '.join(SPLITS)}"


def repeated(names: Iterable[str]) -> dict[str, int]:
    """Returns the names that occur more than once, and how often."""
    return {name: count for name, count in Counter(names).items() if count > 1}


def rows_not_finite(values_SD: NDArray[Any]) -> NDArray[np.int64]:
    """Returns the segments (rows) that hold NaN or infinity."""
    chunks = range(0, len(values_SD), _ROWS_AT_ONCE)
    bad = [s + np.flatnonzero(~np.isfinite(values_SD[s : s + _ROWS_AT_ONCE]).all(axis=-1)) for s in chunks]
    return np.concatenate(bad) if bad else np.zeros(0, dtype=np.int64)


def identity_faults(contents: Contents) -> list[str]:
    """Returns the names that break their rule, and the ids that more than one video has, one line each."""
    kinds = (("video", contents.video_ids), ("action", contents.actions), ("group", contents.groups))
    named = [(kind, name) for kind, names in kinds for name in dict.fromkeys(names) if name]
    faults = [f"{kind} {rule}" for kind, name in named if (rule := name_fault(name))]
    twice = repeated(contents.video_ids).items()
    return faults + [f"video {name!r}: occurs {count} times; ids are unique" for name, count in twice]


def content_faults(features: FeatureSet) -> list[str]:
    """Returns every other rule that videos in memory break, one line each, naming the video."""
    faults = [fault for index in range(len(features)) for fault in _annotation_faults(features, index)]
    faults += _score_coverage_faults(features)
    for modality, values in features.features.items():
        faults += _finite_faults(features, modality, values, "extract its features again")
    if features.segment_labels is not None:
        faults += _finite_faults(features, "segment_labels", features.segment_labels[:, None], "label every segment")
    return faults


def _annotation_faults(features: FeatureSet, index: int) -> list[str]:
    broken = [split_fault(features.splits[index])]
    if not features.actions[index]:
        broken.append("has no action; every video belongs to one")
    if features.lengths[index] < 1:
        broken.append("has no segments; a video needs at least one")
    for name, values in features.scores.items():
        if not math.isnan(values[index]):
            broken.append(score_fault(name, float(values[index]), features.schema.scores[name]))
    return [f"video {features.video_ids[index]!r}: {rule}" for rule in broken if rule]


def _score_coverage_faults(features: FeatureSet) -> list[str]:
    """An action is annotated with a score for all of its videos or for none, and with at least one score."""
    faults = []
    for action in sorted(set(features.actions)):
        rows = features.where(action=action)
        missing = {name: rows[np.isnan(values[rows])] for name, values in features.scores.items()}
        if all(len(absent) == len(rows) for absent in missing.values()):
            faults.append(f"action {action!r}: none of its videos has a score")
            continue
        for name, absent in missing.items():
            if len(absent) < len(rows):
                faults += [f"video {features.video_ids[i]!r}: {score_fault(name, math.nan, 1.0)}" for i in absent]
    return faults


def _finite_faults(features: FeatureSet, column: str, values_SD: NDArray[Any], way_out: str) -> list[str]:
    bad = rows_not_finite(values_SD)
    if not len(bad):
        return []
    order = np.argsort(features.offsets, kind="stable")
    owner = order[np.searchsorted(features.offsets[order], bad, side="right") - 1]
    videos, first, counts = np.unique(owner, return_index=True, return_counts=True)
    return [
        f"video {features.video_ids[v]!r}: {column} holds NaN or infinity in {counted(n, 'segment')}, "
        f"the first is {bad[f] - features.offsets[v]}; {way_out}"
        for v, f, n in zip(videos, first, counts, strict=True)
    ]
