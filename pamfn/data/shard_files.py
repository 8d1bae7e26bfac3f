"""The Parquet files of a location: found, opened and held against each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pamfn.credentials import held, without_credentials
from pamfn.data.faults import ShardError
from pamfn.data.rules import counted
from pamfn.data.schema import Schema, from_metadata

_TEXT = (pa.types.is_string, "string")
_CONTENTS = {
    "video_id": _TEXT,
    "action": _TEXT,
    "split": _TEXT,
    "group": _TEXT,
    "scores": (pa.types.is_struct, "a struct of numbers"),
    "segments": (pa.types.is_integer, "a whole number"),
}
_NUMBERS = (pa.float16(), pa.float32())


def is_folder(path: Path) -> bool:
    """Tells whether a folder is there; a name that no file system can hold is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


class Shard:
    """One open Parquet file.

    Args:
        name: What messages call it.
        file: The open file.

    Raises:
        ShardError: If the file is not a shard of this format.
    """

    def __init__(self, name: str, file: pq.ParquetFile) -> None:
        self.name = name
        self._file = file
        try:
            self.schema, self.index, self.count = from_metadata(file.schema_arrow.metadata)
        except ValueError as error:
            raise ShardError([f"{name}: {error}"]) from error
        if faults := _column_faults(file.schema_arrow, self.schema):
            raise ShardError([f"{name}: {fault}" for fault in faults])

    @property
    def labelled(self) -> bool:
        """Tells whether segments carry labels."""
        return "segment_labels" in self._file.schema_arrow.names

    @property
    def row_group_sizes(self) -> list[int]:
        """The number of videos in each row group."""
        return [self._file.metadata.row_group(i).num_rows for i in range(self._file.metadata.num_row_groups)]

    @property
    def columns(self) -> pa.Schema:
        """The names and types of the columns, without metadata."""
        return self._file.schema_arrow.remove_metadata()

    def dtype(self, modality: str) -> np.dtype[Any]:
        """Returns the precision in which a modality is stored."""
        stored: np.dtype[Any] = np.dtype(
            self._file.schema_arrow.field(modality).type.value_type.value_type.to_pandas_dtype()
        )
        return stored

    def contents(self) -> dict[str, list[Any]]:
        """Returns the columns other than features, as Python values.

        Raises:
            ShardError: If the file is damaged, or a column other than ``group`` has empty cells.
        """
        table = self._guarded(lambda: self._file.read(columns=list(_CONTENTS)))
        empty = {name: table.column(name).null_count for name in _CONTENTS if name != "group"}
        if any(empty.values()):
            raise ShardError(
                [f"{self.name}: column {name!r} is empty for {counted(n, 'video')}" for name, n in empty.items() if n]
            )
        return {name: table.column(name).to_pylist() for name in _CONTENTS}

    def read(self, group: int, columns: list[str], lengths: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Returns columns of one row group: (sum of lengths, D) for a modality, (sum of lengths,) for labels.

        Raises:
            ShardError: If the file is damaged, or a column has another number of segments than ``segments`` says.
        """
        table = self._guarded(lambda: self._file.read_row_group(group, columns=columns))
        arrays = {name: _flat(table.column(name)) for name in columns}
        faults = [
            f"{self.name}: row group {group}: {name} has {len(values)} segments, and the column 'segments' "
            f"adds up to {lengths.sum()}; write the shards again"
            for name, values in arrays.items()
            if len(values) != lengths.sum() or not np.array_equal(_lengths(table.column(name)), lengths)
        ]
        if faults:
            raise ShardError(faults)
        return arrays

    def _guarded(self, read: Any) -> Any:
        try:
            return read()
        except (pa.ArrowException, OSError) as error:
            raise ShardError(
                [f"{self.name}: damaged or truncated ({_one_line(error)}); copy or write it again"]
            ) from error


@contextmanager
def open_shards(location: str | Path) -> Iterator[list[Shard]]:
    """Opens every shard of a location, in the order of their index.

    Raises:
        ShardError: With every fault of the files: none there, unreadable, missing from the set, or of another data set.
    """
    with ExitStack() as stack:
        shards, faults = [], []
        filesystem, paths = find_shards(location)
        for path in paths:
            try:
                shards.append(_open(stack, filesystem, path))
            except ShardError as error:
                faults += error.faults
        faults += _set_faults(str(location), shards, complete=not faults)
        if faults:
            raise ShardError(faults)
        yield sorted(shards, key=lambda shard: shard.index)


def find_shards(location: str | Path) -> tuple[pa.fs.FileSystem, list[str]]:
    """Returns the file system of a location and the paths of its Parquet files; hidden and temporary names are not.

    Raises:
        ShardError: If the location holds credentials, cannot be listed, or holds no Parquet file.
    """
    if found := held(str(location)):
        way_out = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE for ~/.aws/credentials"
        place = without_credentials(str(location))
        raise ShardError(
            [f"{place}: was given with {found}, and locations are written down; {way_out}, and leave it out"]
        )
    try:
        if "://" in str(location):
            filesystem, folder = pa.fs.FileSystem.from_uri(str(location))
        else:
            filesystem, folder = pa.fs.LocalFileSystem(), str(Path(location).absolute())
        files = filesystem.get_file_info(pa.fs.FileSelector(folder))
    except (pa.ArrowException, OSError) as error:
        raise ShardError([f"{location}: cannot be listed ({_one_line(error)}); give a folder of shards"]) from error
    names = [f for f in files if f.type == pa.fs.FileType.File and f.extension == "parquet"]
    paths = sorted(f.path for f in names if not f.base_name.startswith((".", "_")))
    if not paths:
        raise ShardError([f"{location}: holds no *.parquet file; make shards with python -m pamfn.ingest"])
    return filesystem, paths


def _open(stack: ExitStack, filesystem: pa.fs.FileSystem, path: str) -> Shard:
    name = path.rsplit("/", 1)[-1]
    try:
        source = stack.enter_context(filesystem.open_input_file(path))
        file = stack.enter_context(pq.ParquetFile(source, pre_buffer=True, page_checksum_verification=True))
    except (pa.ArrowException, OSError) as error:
        raise ShardError([f"{name}: not a readable Parquet file, perhaps truncated ({_one_line(error)})"]) from error
    return Shard(name, file)


def _column_faults(columns: pa.Schema, schema: Schema) -> list[str]:
    faults = []
    for name, (is_kind, kind) in _CONTENTS.items():
        if name not in columns.names:
            faults.append(f"column {name!r} is missing")
        elif not is_kind(columns.field(name).type):
            faults.append(f"column {name!r} has type {columns.field(name).type}; it must be {kind}")
    if "segment_labels" in columns.names and not _is_list_of_numbers(kind := columns.field("segment_labels").type):
        faults.append(f"column 'segment_labels' has type {kind}; it must be list<float32>")
    for name, width in schema.modalities.items():
        if name not in columns.names:
            faults.append(f"modality {name!r} is missing; its metadata promises it")
            continue
        kind = columns.field(name).type
        inner = kind.value_type if pa.types.is_list(kind) else None
        if inner is None or not pa.types.is_fixed_size_list(inner) or inner.value_type not in _NUMBERS:
            faults.append(f"modality {name!r} has type {kind}; it must be list<fixed_size_list<float16|float32, D>>")
        elif inner.list_size != width:
            faults.append(f"modality {name!r} is {inner.list_size} wide; its metadata says {width}")
    return faults


def _is_list_of_numbers(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) and bool(
        pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)
    )


def _set_faults(location: str, shards: list[Shard], *, complete: bool) -> list[str]:
    """Shards of one location are one data set, each there once; gaps are told only where every file could be read."""
    faults = []
    for shard in shards[1:]:
        if (shard.schema, shard.count) != (shards[0].schema, shards[0].count):
            faults.append(
                f"{shard.name}: belongs to another data set than {shards[0].name} "
                f"(digest {shard.schema.digest[:12]}, not {shards[0].schema.digest[:12]}); keep one set a folder"
            )
        elif shard.columns != shards[0].columns:
            faults.append(f"{shard.name}: its columns are of other types than {shards[0].name}'s; write the set again")
    if complete and not faults and sorted(s.index for s in shards) != list(range(shards[0].count)):
        gaps = sorted(set(range(shards[0].count)) - {s.index for s in shards})
        reason = (
            f"missing are {gaps}, counted from 0; copy them here" if gaps else "some are there twice; remove copies"
        )
        faults.append(f"{location}: {counted(len(shards), 'shard')} of {shards[0].count}; {reason}")
    return faults


def _flat(column: pa.ChunkedArray) -> NDArray[Any]:
    """Returns the segments of all videos of a column, a view of Arrow's buffer where it is one piece."""
    parts = []
    for chunk in column.chunks:
        segments = chunk.flatten()
        if pa.types.is_fixed_size_list(segments.type):
            numbers = segments.flatten()  # an empty number becomes NaN, which no reading lets through
            values = numbers.to_numpy(zero_copy_only=numbers.null_count == 0)
            parts.append(values.reshape(-1, segments.type.list_size))
        else:
            parts.append(segments.to_numpy(zero_copy_only=False))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _lengths(column: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.concatenate([np.diff(chunk.offsets.to_numpy()) for chunk in column.chunks]).astype(np.int64)


def _one_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
