"""A source of videos, as any layout reads it, and its way into one checked set of features."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pamfn.data.faults import ShardError
from pamfn.data.features import FeatureSet
from pamfn.data.label_files import Label
from pamfn.data.rules import counted, name_fault, rows_not_finite
from pamfn.data.schema import Schema
from pamfn.highlights.labels import HIGHLIGHTS, shares

SEGMENT_LABELS = "segment_labels"  # a stream of one number a segment until videos are joined
NEAR = 2  # streams this many segments apart are cut to the shorter: extractors round a video's end differently


@dataclass(frozen=True)
class Stream:
    """The features of one video in one modality.

    Args:
        values: Shape (T, D), or (T, n, D) for n crops; None if the file has none for this video.
        file: Where they are, for messages.
    """

    values: NDArray[Any] | None
    file: str


@dataclass(frozen=True)
class Video:
    """One labelled video and its streams by modality; a modality whose whole file is faulty has no entry."""

    label: Label
    action: str
    streams: dict[str, Stream]


@dataclass
class Source:
    """What a layout's reader found.

    Args:
        modalities: In the order in which they are stored; ``SEGMENT_LABELS`` among them if segments are labelled.
        scores: C of each score; ``HIGHLIGHTS`` is made of the labels of a video's segments.
        videos: Every labelled video.
        faults: What is wrong so far, one line each.
        extractors: Name of the network that extracted a modality, where known.
        seconds_per_segment: Length of one segment, if known.
        unlabelled: Videos that have features and no label.
    """

    modalities: tuple[str, ...]
    scores: dict[str, float]
    videos: list[Video] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    extractors: dict[str, str] = field(default_factory=dict)
    seconds_per_segment: float | None = None
    unlabelled: int = 0


@dataclass
class Changes:
    """What was done to the videos of a source on the way: lines for the reader's eye."""

    cut: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)


def assemble(source: Source, *, drop_mismatched: bool = False, dtype: str | None = None) -> tuple[FeatureSet, Changes]:
    """Checks every video of a source and joins them.

    Args:
        source: What a layout's reader found.
        drop_mismatched: Leave out videos whose streams differ by more than ``NEAR`` segments, instead of refusing.
        dtype: ``float16`` or ``float32``; None keeps float16 and makes everything else float32.

    Raises:
        ShardError: With every fault of the source.
    """
    faults, changes = list(source.faults) + _name_faults(source) + _repeated_faults(source), Changes()
    widths = _common_widths(source)
    kept: list[tuple[Video, dict[str, NDArray[Any]]]] = []
    for video in source.videos:
        streams, wrong = _checked(video, widths, dtype)
        faults += wrong
        if streams and not wrong and set(streams) == set(source.modalities):
            mismatch = _align(video, streams, changes)
            if mismatch and drop_mismatched:
                changes.dropped[video.label.video_id] = mismatch
            elif mismatch:
                faults.append(
                    f"{video.label.where}: video {video.label.video_id!r}: streams are {mismatch} segments long, more "
                    f"than {NEAR} apart; repair them, or leave such videos out by --on-mismatch drop"
                )
            else:
                kept.append((video, streams))
    if not faults and not kept:
        faults.append("no videos are left; every one of them was dropped for its streams' lengths")
    if faults:
        raise ShardError(faults)
    return _joined(source, widths, kept), changes


def _name_faults(source: Source) -> list[str]:
    """Names go into tables, metrics and messages, one line each: no line breaks, no thousand letters."""
    named = [
        (video.label.where, kind, name)
        for video in source.videos
        for kind, name in (("id", video.label.video_id), ("action", video.action), ("group", video.label.group))
    ]
    return [f"{where}: {kind} {rule}" for where, kind, name in named if name and (rule := name_fault(name))]


def _repeated_faults(source: Source) -> list[str]:
    first: dict[str, str] = {}
    faults = []
    for video in source.videos:
        where = first.setdefault(video.label.video_id, video.label.where)
        if where != video.label.where:
            faults.append(f"{video.label.where}: video {video.label.video_id!r}: is already at {where}; ids are unique")
    return faults


def _common_widths(source: Source) -> dict[str, int]:
    """Returns the width that most videos have, by modality: the others are the faults."""
    widths = {}
    for modality in source.modalities:
        found = [v.streams[modality].values for v in source.videos if modality in v.streams]
        counts = Counter(values.shape[-1] for values in found if values is not None and values.ndim in (2, 3))
        widths[modality] = counts.most_common(1)[0][0] if counts else 1
    return widths


def _checked(video: Video, widths: dict[str, int], dtype: str | None) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Returns the good streams of a video as (T, D) arrays, and the faults of the others."""
    streams, faults = {}, []
    for modality, stream in video.streams.items():
        values, rule = _as_sequence(stream.values, widths[modality], dtype)
        if stream.values is None and modality == SEGMENT_LABELS:
            rule = "no labels; where segments are labelled, every video needs one for each"
        if rule is None and values is not None:
            streams[modality] = values
        else:
            faults.append(f"{stream.file}: video {video.label.video_id!r}: {modality}: {rule}")
    return streams, faults


def _as_sequence(values: NDArray[Any] | None, width: int, dtype: str | None) -> tuple[NDArray[Any] | None, str | None]:
    """Returns features as (T, D) in their stored precision, or the rule they break."""
    if values is None:
        return None, "no features; every labelled video needs all modalities"
    if values.dtype.kind not in "fiu" or values.ndim not in (2, 3):
        return None, f"an array of {values.dtype} with shape {values.shape}; it must be numbers (T, D) or (T, n, D)"
    if values.size == 0:
        return None, f"shape {values.shape} holds no segments; a video needs at least one"
    if values.shape[-1] != width:
        return None, f"width {values.shape[-1]}; most videos have {width}"
    if values.ndim == 3:
        values = values.mean(axis=1, dtype=np.float64).astype(values.dtype)
    if len(bad := rows_not_finite(values)):
        return (
            None,
            f"NaN or infinity in {counted(len(bad), 'segment')}, the first is {bad[0]}; extract its features again",
        )
    stored = np.dtype(dtype or ("float16" if values.dtype == np.float16 else "float32"))
    with np.errstate(over="ignore"):
        cast = np.ascontiguousarray(values, dtype=stored)
    if len(rows_not_finite(cast)):
        return None, f"{np.abs(values).max():g} is too large for {stored}; use --dtype float32, or scale the features"
    return cast, None


def _align(video: Video, streams: dict[str, NDArray[Any]], changes: Changes) -> str | None:
    """Cuts streams to the shortest if they are near; else returns their lengths as text."""
    lengths = {modality: len(values) for modality, values in streams.items()}
    shortest = min(lengths.values())
    apart = max(lengths.values()) - shortest
    if apart > NEAR:
        return ", ".join(f"{modality} {length}" for modality, length in lengths.items())
    if apart:
        changes.cut[video.label.video_id] = apart
        streams.update({modality: values[:shortest] for modality, values in streams.items()})
    return None


def _joined(source: Source, widths: dict[str, int], kept: list[tuple[Video, dict[str, NDArray[Any]]]]) -> FeatureSet:
    labels = [video.label for video, _ in kept]
    joined = {m: np.concatenate([streams[m] for _, streams in kept]) for m in source.modalities}
    matches = joined.pop(SEGMENT_LABELS, None)
    lengths = np.array([len(next(iter(streams.values()))) for _, streams in kept], dtype=np.int64)
    scores = {name: np.array([label.scores.get(name, np.nan) for label in labels]) for name in source.scores}
    if matches is not None and HIGHLIGHTS in scores:
        scores[HIGHLIGHTS] = shares(matches[:, 0], lengths)
    return FeatureSet(
        schema=Schema(
            modalities={name: widths[name] for name in joined},
            scores=source.scores,
            extractors=source.extractors,
            seconds_per_segment=source.seconds_per_segment,
        ),
        video_ids=tuple(label.video_id for label in labels),
        actions=tuple(video.action for video, _ in kept),
        splits=tuple(label.split for label in labels),
        groups=tuple(label.group for label in labels),
        scores=scores,
        lengths=lengths,
        offsets=np.cumsum(lengths) - lengths,
        features=joined,
        segment_labels=None if matches is None else matches[:, 0].astype(np.float32),
    )
