"""Videos that a request names by their shards and ids."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from pamfn.data.bank import Bank
from pamfn.data.faults import ShardError
from pamfn.data.features import Contents
from pamfn.data.rules import SPLITS
from pamfn.data.shards import read_shards, read_table_of_contents


@dataclass(frozen=True, eq=False)
class Videos:
    """Some videos of shards in a bank.

    Args:
        bank: Their features, and those of others of the same classes and splits.
        index: Place of each in the bank, by id.
        actions: Class of each, by id.
    """

    bank: Bank
    index: Mapping[str, int]
    actions: Mapping[str, str]


def read_videos(location: str, ids: Sequence[str], widths: Mapping[str, int], device: torch.device | str) -> Videos:
    """Reads the classes and splits that some videos of shards belong to.

    Args:
        location: Where the shards are.
        ids: The videos.
        widths: Width of each stream that is read.
        device: Where the bank is to be.

    Raises:
        ShardError: If the shards cannot be read, a video is not among them, or their streams are others.
    """
    schema, contents = read_table_of_contents(location)
    faults = stream_faults(schema.modalities, widths, location) + _unknown(contents, ids, location)
    if faults:
        raise ShardError(faults)
    places = [contents.video_ids.index(name) for name in ids]
    actions, splits = ({column[place] for place in places} for column in (contents.actions, contents.splits))
    features = read_shards(
        location,
        actions=sorted(actions),
        modalities=list(widths),
        splits=[split for split in SPLITS if split in splits],
    )
    known = {name: place for place, name in enumerate(features.video_ids)}
    return Videos(
        bank=Bank.of(features, device),
        index={name: known[name] for name in ids},
        actions={name: features.actions[known[name]] for name in ids},
    )


def stream_faults(there: Mapping[str, int], widths: Mapping[str, int], location: str) -> list[str]:
    """Returns why shards with these streams cannot be scored by networks that read those of ``widths``."""
    return [
        f"{location}: {name} has width {there[name]}, and the networks read {width}"
        if name in there
        else f"{location}: no modality {name}, which the networks read; there are {', '.join(there)}"
        for name, width in widths.items()
        if there.get(name) != width
    ]


def _unknown(contents: Contents, ids: Sequence[str], location: str) -> list[str]:
    known = set(contents.video_ids)
    return [no_video(contents.video_ids, name, location) for name in dict.fromkeys(ids) if name not in known]


def no_video(known: Sequence[str], name: str, location: str) -> str:
    """Returns that there is no video of a name, and near ones."""
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {', '.join(map(repr, near))}?" if near else f"such as {known[0]!r}"
    return f"{location}: no video {name!r} among {len(known)}; {hint}"
