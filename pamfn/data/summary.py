"""What a set of videos holds, as lines of text for a reader."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pamfn.data.features import Contents, FeatureSet
from pamfn.data.rules import SPLITS, counted
from pamfn.highlights.labels import is_highlight


def headline(features: FeatureSet, *, shards: int, stored: int) -> str:
    """Returns one line: videos, actions, modalities, bytes and digest."""
    actions = sorted(set(features.actions))
    counts = ", ".join(f"{split} {features.splits.count(split)}" for split in SPLITS)
    streams = ", ".join(f"{name} {width}" for name, width in features.schema.modalities.items())
    digest = features.schema.digest or features.sealed().schema.digest
    return (
        f"{counted(len(features), 'video')} ({counts}) of {counted(len(actions), 'action')} ({', '.join(actions)}); "
        f"{streams}; {counted(shards, 'shard')}, {stored / 1e6:.1f} MB; digest {digest[:12]}"
    )


def modality_table(features: FeatureSet) -> list[str]:
    """Returns a table of the modalities."""
    rows = [("modality", "width", "stored as", "values (min, max)", "extractor")]
    for name, values in features.features.items():
        span = f"{values.min():.3g}, {values.max():.3g}"
        extractor = features.schema.extractors.get(name, "-")
        rows.append((name, str(values.shape[1]), str(values.dtype), span, extractor))
    return _aligned(rows)


def action_table(contents: Contents) -> list[str]:
    """Returns a table of actions and splits: counts, lengths and scores, each as least / median / largest."""
    grouped = any(group is not None for group in contents.groups)
    scores = [f"{name} (of {largest:g})" for name, largest in contents.schema.scores.items()]
    rows = [("action", "split", "videos", *(["groups"] if grouped else []), "segments", *scores)]
    for action in sorted(set(contents.actions)):
        for split in SPLITS:
            chosen = contents.where(action=action, split=split)
            groups = {contents.groups[i] or contents.video_ids[i] for i in chosen}
            spans = [_span(values[chosen], ".2f") for values in contents.scores.values()]
            counts = [str(len(chosen)), *([str(len(groups))] if grouped else [])]
            rows.append((action, split, *counts, _span(contents.lengths[chosen], ".0f"), *spans))
    return _aligned(rows)


def label_table(features: FeatureSet) -> list[str]:
    """Returns a table of labelled segments by action and split: highlights, and videos that have none."""
    assert features.segment_labels is not None  # asked of labelled segments
    marked = is_highlight(features.segment_labels)
    rows = [("action", "split", "segments", "highlights", "share", "videos without")]
    for action in sorted(set(features.actions)):
        for split in SPLITS:
            chosen = features.where(action=action, split=split)
            found = [int(marked[features.rows([video])].sum()) for video in chosen]
            segments = int(features.lengths[chosen].sum())
            share = f"{sum(found) / segments:.2f}" if segments else "-"
            rows.append((action, split, str(segments), str(sum(found)), share, str(found.count(0))))
    return _aligned(rows)


def cautions(contents: Contents) -> list[str]:
    """Returns what is no fault and yet worth knowing before a study."""
    lines = []
    for action in sorted(set(contents.actions)):
        lines += [
            f"action {action!r} has no {split} videos"
            for split in SPLITS
            if not len(contents.where(action=action, split=split))
        ]
    sides = [{contents.groups[i] for i in contents.where(split=split)} - {None} for split in SPLITS]
    if both := sides[0] & sides[1]:
        lines.append(
            f"{counted(len(both), 'group')} with videos in train and in test, {sorted(map(str, both))[0]!r} among them"
        )
    return lines


def _span(values: NDArray[np.generic], form: str) -> str:
    numbers = np.asarray(values, dtype=np.float64)
    if not len(numbers) or np.isnan(numbers).all():
        return "-"
    return " / ".join(format(number, form) for number in (numbers.min(), np.median(numbers), numbers.max()))


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
