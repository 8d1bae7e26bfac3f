"""Videos to Parquet shards: all of them or nothing."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pamfn.data.faults import ShardError
from pamfn.data.features import FeatureSet
from pamfn.data.rules import content_faults, counted, identity_faults
from pamfn.data.schema import to_metadata

VIDEOS_PER_ROW_GROUP = 64


def write_shards(features: FeatureSet, out: Path, *, videos_per_shard: int = 256) -> list[Path]:
    """Writes videos as shards and returns their paths.

    A row group holds videos of one action and one split, so that these can be read without the rest. Shards are
    written under a temporary folder's name and renamed when all are complete; an interrupted write leaves no shard.

    Args:
        features: The videos; the digest of their content is computed here.
        out: Folder to write to, made if need be; it must hold no shards.
        videos_per_shard: A shard is closed once it holds this many videos.

    Raises:
        ShardError: If a video breaks a rule, there are no videos, or ``out`` already holds shards.
        ValueError: If ``videos_per_shard`` is below 1.
    """
    if videos_per_shard < 1:
        raise ValueError(f"videos_per_shard: {videos_per_shard} is below 1")
    if faults := writing_faults(features, out):
        raise ShardError(faults)
    features = features.sealed()
    shards = list(_shards_of(_row_groups(features), videos_per_shard))
    out.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=out))
    try:
        written = [_write(features, shard, temporary, i, len(shards)) for i, shard in enumerate(shards)]
        return [path.rename(out / path.name) for path in written]
    finally:
        shutil.rmtree(temporary)


def writing_faults(features: FeatureSet, out: Path) -> list[str]:
    """Returns why these videos cannot be written there, one line each."""
    faults = occupied(out)
    if not len(features):
        faults.append(f"{out}: there are no videos to write")
    missing = [name for name in features.schema.modalities if name not in features.features]
    faults += [f"{out}: modality {name!r} is in the schema and not in the features" for name in missing]
    return faults + identity_faults(features) + content_faults(features)


def occupied(out: Path) -> list[str]:
    """Returns why a folder cannot take new shards: it is a file, it cannot be, or it holds shards already."""
    try:
        if out.exists() and not out.is_dir():
            return [f"{out}: is a file; --out names a folder"]
        present = sorted(path for path in out.glob("*.parquet") if not path.name.startswith((".", "_")))
    except OSError as error:
        return [f"{out}: cannot be a folder ({error.strerror}); --out names a folder"]
    if present:
        shards = counted(len(present), "shard")
        return [f"{out}: already holds {present[0].name} ({shards}); choose another folder or remove them"]
    return []


def _row_groups(features: FeatureSet) -> Iterator[NDArray[np.int64]]:
    """Yields the videos of each row group, ordered by action, split and id."""
    for action in sorted(set(features.actions)):
        for split in ("train", "test"):
            rows = features.where(action=action, split=split)
            rows = np.array(sorted(rows, key=lambda i: features.video_ids[i]), dtype=np.int64)
            for start in range(0, len(rows), VIDEOS_PER_ROW_GROUP):
                yield rows[start : start + VIDEOS_PER_ROW_GROUP]


def _shards_of(groups: Iterator[NDArray[np.int64]], videos_per_shard: int) -> Iterator[list[NDArray[np.int64]]]:
    shard: list[NDArray[np.int64]] = []
    for group in groups:
        step = min(len(group), videos_per_shard)
        for start in range(0, len(group), step):
            shard.append(group[start : start + step])
            if sum(map(len, shard)) >= videos_per_shard:
                yield shard
                shard = []
    if shard:
        yield shard


def _write(features: FeatureSet, groups: list[NDArray[np.int64]], folder: Path, index: int, count: int) -> Path:
    path = folder / f"part-{index:05d}-of-{count:05d}.parquet"
    schema = arrow_schema(features).with_metadata(to_metadata(features.schema, shard=index, shards=count))
    # Features hardly repeat: bytes are split by their place in a number, which zstd then packs; no dictionary.
    numbers = [f"{name}.list.element.list.element" for name in features.features]
    known = ["video_id", "action", "split", "group", "segments"]
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=False,
        use_byte_stream_split=numbers,
        write_statistics=known,
        write_page_checksum=True,
    ) as writer:
        for group in groups:
            writer.write_table(_table(features.subset(group), schema), row_group_size=len(group))
    return path


def arrow_schema(features: FeatureSet) -> pa.Schema:
    """Returns the columns of a shard: one row a video."""
    fields = [pa.field(name, pa.string(), nullable=False) for name in ("video_id", "action", "split")]
    fields.append(pa.field("group", pa.string()))
    fields.append(pa.field("scores", pa.struct([(name, pa.float64()) for name in features.scores]), nullable=False))
    fields.append(pa.field("segments", pa.int32(), nullable=False))
    fields += [pa.field(name, _sequence_type(values), nullable=False) for name, values in features.features.items()]
    if features.segment_labels is not None:
        fields.append(pa.field("segment_labels", pa.list_(pa.float32()), nullable=False))
    return pa.schema(fields)


def _sequence_type(values_SD: NDArray[Any]) -> pa.DataType:
    number = pa.field("element", pa.from_numpy_dtype(values_SD.dtype), nullable=False)
    return pa.list_(pa.field("element", pa.list_(number, values_SD.shape[1]), nullable=False))


def _table(videos: FeatureSet, schema: pa.Schema) -> pa.Table:
    """Returns the rows of one row group; features are not copied."""
    ends = pa.array(np.append(videos.offsets, videos.lengths.sum()).astype(np.int32))
    scores = [
        pa.array([None if math.isnan(v) else v for v in values], pa.float64()) for values in videos.scores.values()
    ]
    columns = [
        pa.array(videos.video_ids, pa.string()),
        pa.array(videos.actions, pa.string()),
        pa.array(videos.splits, pa.string()),
        pa.array(videos.groups, pa.string()),
        pa.StructArray.from_arrays(scores, fields=list(schema.field("scores").type)),
        pa.array(videos.lengths, pa.int32()),
    ]
    for name, values in videos.features.items():
        kind = schema.field(name).type
        segments = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), type=kind.value_type)
        columns.append(pa.ListArray.from_arrays(ends, segments, type=kind))
    if videos.segment_labels is not None:
        columns.append(pa.ListArray.from_arrays(ends, pa.array(videos.segment_labels.astype(np.float32))))
    return pa.Table.from_arrays(columns, schema=schema)
