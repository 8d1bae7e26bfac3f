"""``labels.csv`` and one ``<modality>.npz`` a stream with arrays ids [V], lengths [V] and data [sum of lengths, D].

For highlight detection there is ``segment_labels.npz`` as well, whose data [sum of lengths] are the matches of the
segments, above 0 for a highlight. Then no score is needed: without one it is the share of highlights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pamfn.data.array_files import UnreadableError, load_arrays
from pamfn.data.label_files import csv_labels, read_text
from pamfn.data.rules import repeated
from pamfn.data.schema import modality_faults
from pamfn.data.source import SEGMENT_LABELS, Source, Stream, Video
from pamfn.highlights.labels import HIGHLIGHTS


def read(
    source: Path,
    *,
    largest: float | None,
    score: str | None = None,
    action_column: str | None = None,
    group_column: str | None = None,
) -> Source:
    """Reads a table of labels and the streams beside it.

    Args:
        source: Folder that holds ``labels.csv`` and the ``.npz`` files, each named after its modality.
        largest: C of the score; not needed where segments are labelled.
        score: Column of the score; by default ``score``, and none where segments are labelled.
        action_column: Column of the action class; without one all videos are of the class ``all``.
        group_column: Column of the athlete, speaker or the like that folds must not split.
    """
    paths = sorted(source.glob("*.npz"))
    if score is None and not labelled(source):
        score = "score"
    found = Source(tuple(path.stem for path in paths), {score: largest or 1.0} if score else {HIGHLIGHTS: 1.0})
    streams_found = [path for path in paths if path.stem != SEGMENT_LABELS]
    if not streams_found:
        found.faults.append(f"{source}: holds no <modality>.npz; there must be one for each stream")
    found.faults += [f"{path.name}: {fault}" for path in streams_found for fault in modality_faults(path.stem)]
    text = read_text(source / "labels.csv", source, found.faults)
    columns = {"action_column": action_column, "group_column": group_column}
    labels = csv_labels(text, "labels.csv", score, largest or 1.0, found.faults, **columns) if text else []
    if not labels and not found.faults:
        found.faults.append("labels.csv: lists no videos")
    tables = {path.stem: (path.name, _table(path, found.faults)) for path in paths}
    good = {modality: (file, table) for modality, (file, table) in tables.items() if table is not None}
    for label in labels:
        streams = {modality: Stream(table.get(label.video_id), file) for modality, (file, table) in good.items()}
        found.videos.append(Video(label, label.action, streams))
    with_features = {video for _, table in good.values() for video in table}
    found.unlabelled = len(with_features - {label.video_id for label in labels})
    return found


def labelled(source: Path) -> bool:
    """Tells whether a source labels its segments."""
    return (source / f"{SEGMENT_LABELS}.npz").exists()


def _table(path: Path, faults: list[str]) -> dict[str, NDArray[Any]] | None:
    """Returns the segments of each video of one file, or None after noting what is wrong with the file."""
    try:
        arrays = load_arrays(path, ("ids", "lengths", "data"))
    except UnreadableError as error:
        faults.append(f"{path.name}: {error}")
        return None
    ids, lengths, data = arrays["ids"], arrays["lengths"], arrays["data"]
    if path.stem == SEGMENT_LABELS:
        if data.ndim != 1:
            faults.append(f"{path.name}: data has shape {data.shape}; labels are one number a segment")
            return None
        data = data[:, None]
    wrong = _shape_faults(ids, lengths, data)
    wrong += [
        f"video {name!r}: occurs {n} times in ids; ids are unique" for name, n in repeated(map(str, ids.flat)).items()
    ]
    faults += [f"{path.name}: {rule}" for rule in wrong]
    if wrong:
        return None
    ends = np.cumsum(lengths)
    return {str(name): data[end - n : end] for name, n, end in zip(ids, lengths, ends, strict=True)}


def _shape_faults(ids: NDArray[Any], lengths: NDArray[Any], data: NDArray[Any]) -> list[str]:
    if ids.ndim != 1 or lengths.shape != ids.shape:
        return [f"ids {ids.shape} and lengths {lengths.shape} must be flat and equally long"]
    if ids.dtype.kind not in "Uiu":
        return [f"ids are {ids.dtype}; they must be text, as in labels.csv"]
    if lengths.dtype.kind not in "iu" or (len(lengths) and lengths.min() < 0):
        return [
            f"lengths are {lengths.dtype}, the least is {lengths.min(initial=0)}; they must be whole and not negative"
        ]
    if data.ndim != 2 or len(data) != int(lengths.sum()):
        return [
            f"data has shape {data.shape}; it must be (sum of lengths, D), and lengths add up to {int(lengths.sum())}"
        ]
    return []
