"""Parquet shards to videos in memory; ``write_shards`` is the way back.

Reading goes Arrow buffer -> NumPy view -> one contiguous array a modality, a row group at a time: no Python loop over
segments, and at no moment a second copy of the whole.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pamfn.data.faults import ShardError
from pamfn.data.features import Contents, FeatureSet, contents_of
from pamfn.data.rules import SPLITS, content_faults, identity_faults
from pamfn.data.schema import Schema
from pamfn.data.shard_files import Shard, open_shards
from pamfn.data.shard_writer import write_shards

__all__ = ["ShardError", "read_shards", "read_table_of_contents", "write_shards"]


def read_table_of_contents(location: str | Path) -> tuple[Schema, Contents]:
    """Returns what the shards of a folder hold, without reading features.

    Args:
        location: A folder, or a URI that ``pyarrow.fs`` knows (``s3://bucket/folder``).

    Raises:
        ShardError: If there are no shards, some are missing or unreadable, or they do not belong together.
    """
    with open_shards(location) as shards:
        contents = _contents(shards)
    if faults := identity_faults(contents):
        raise ShardError(faults)
    return contents.schema, contents


def read_shards(
    location: str | Path,
    *,
    actions: Sequence[str] | None = None,
    modalities: Sequence[str] | None = None,
    splits: Sequence[str] = SPLITS,
) -> FeatureSet:
    """Reads the videos of some actions and splits, ordered by action, split and id.

    Row groups that hold none of them are not read, nor are modalities that are not asked for.

    Args:
        location: A folder, or a URI that ``pyarrow.fs`` knows.
        actions: Action classes to read; None reads all.
        modalities: Modalities to read, in this order; None reads all.
        splits: Official splits to read.

    Raises:
        ShardError: As ``read_table_of_contents``; also if nothing answers what is asked for, or a video breaks a rule.
    """
    with open_shards(location) as shards:
        contents = _contents(shards)
        names = list(contents.schema.modalities) if modalities is None else list(modalities)
        if faults := _request_faults(str(location), contents, actions, names, splits):
            raise ShardError(faults)
        wanted = np.array(
            [
                (actions is None or action in actions) and split in splits
                for action, split in zip(contents.actions, contents.splits, strict=True)
            ]
        )
        features = _read(shards, contents, names, wanted)
    if faults := [f"{location}: {fault}" for fault in identity_faults(contents) + content_faults(features)]:
        raise ShardError(faults)
    return features


def _contents(shards: list[Shard]) -> Contents:
    """Returns the rows of all shards, in the order of the files."""
    schema = shards[0].schema
    tables = [shard.contents() for shard in shards]
    columns = {name: [value for table in tables for value in table[name]] for name in tables[0]}
    return Contents(
        schema=schema,
        video_ids=tuple(columns["video_id"]),
        actions=tuple(columns["action"]),
        splits=tuple(columns["split"]),
        groups=tuple(columns["group"]),
        scores={
            name: np.array([row.get(name) for row in columns["scores"]], dtype=np.float64) for name in schema.scores
        },
        lengths=np.array(columns["segments"], dtype=np.int64),
    )


def _request_faults(
    location: str, contents: Contents, actions: Sequence[str] | None, modalities: list[str], splits: Sequence[str]
) -> list[str]:
    faults = []
    asked = {"action": (actions or [], sorted(set(contents.actions))), "split": (splits, list(SPLITS))}
    asked["modality"] = (modalities, list(contents.schema.modalities))
    for kind, (names, known) in asked.items():
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                faults.append(f"{location}: no {kind} {name!r}; there are {', '.join(known)}{hint}")
    return faults


def _read(shards: list[Shard], contents: Contents, modalities: list[str], wanted: NDArray[np.bool_]) -> FeatureSet:
    chosen = np.flatnonzero(wanted)
    lengths = contents.lengths[chosen]
    total = int(lengths.sum())
    arrays = {name: np.empty((total, contents.schema.modalities[name]), shards[0].dtype(name)) for name in modalities}
    labels = np.empty(total, dtype=np.float32) if shards[0].labelled else None
    _fill(shards, contents.lengths, wanted, arrays if labels is None else {**arrays, "segment_labels": labels})
    offsets = np.cumsum(lengths) - lengths
    keys = [(contents.actions[i], SPLITS.index(contents.splits[i]), contents.video_ids[i]) for i in chosen]
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
    return FeatureSet(
        **contents_of(contents, chosen[order]), offsets=offsets[order], features=arrays, segment_labels=labels
    )


def _fill(
    shards: list[Shard], lengths: NDArray[np.int64], wanted: NDArray[np.bool_], arrays: dict[str, NDArray[Any]]
) -> None:
    """Reads the wanted videos into arrays made for them, one row group at a time; every damaged one is a fault."""
    first = filled = 0
    faults: list[str] = []
    for shard in shards:
        for group, videos in enumerate(shard.row_group_sizes):
            rows = slice(first, first + videos)
            first += videos
            if not wanted[rows].any():
                continue
            try:
                columns = shard.read(group, list(arrays), lengths[rows])
            except ShardError as error:
                faults += error.faults
                continue
            kept = np.repeat(wanted[rows], lengths[rows])
            count = int(kept.sum())
            for name, values in columns.items():
                arrays[name][filled : filled + count] = values if count == len(kept) else values[kept]
            filled += count
    if faults:
        raise ShardError(faults)
