"""Every way in which shards can be bad has its own message, and all of them come at once."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pamfn.data.features import FeatureSet
from pamfn.data.shards import ShardError, read_shards, read_table_of_contents, write_shards

Planted = Callable[..., FeatureSet]
Command = Callable[..., Any]


@pytest.fixture
def shards(planted: Planted, tmp_path: Path) -> list[Path]:
    return write_shards(planted(), tmp_path / "shards", videos_per_shard=20)


def faults_of(location: Path, **wanted: Any) -> list[str]:
    with pytest.raises(ShardError) as error:
        read_shards(location, **wanted)
    return error.value.faults


def rewrite(path: Path, change: Command) -> None:
    pq.write_table(change(pq.read_table(path)), path, row_group_size=10)


def with_metadata(table: Any, **changes: Any) -> Any:
    values = json.loads(table.schema.metadata[b"pamfn"]) | changes
    return table.replace_schema_metadata({b"pamfn": json.dumps(values).encode()})


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    [fault] = faults_of(tmp_path / "absent")
    assert fault.startswith(f"{tmp_path}/absent: cannot be listed")
    assert fault.endswith("give a folder of shards")


def test_a_folder_without_shards(tmp_path: Path) -> None:
    expected = f"{tmp_path}: holds no *.parquet file; make shards with python -m pamfn.ingest"
    assert faults_of(tmp_path) == [expected]


def test_truncated_and_foreign_files_are_all_named(shards: list[Path]) -> None:
    shards[0].write_bytes(shards[0].read_bytes()[:-100])
    pq.write_table(pa.table({"a": [1]}), shards[1])
    first, second = faults_of(shards[0].parent)
    assert first.startswith("part-00000-of-00002.parquet: not a readable Parquet file, perhaps truncated (")
    assert second == (
        "part-00001-of-00002.parquet: not a shard: its metadata has no 'pamfn' entry; "
        "make shards with python -m pamfn.ingest"
    )


def test_bytes_damaged_inside_a_file(shards: list[Path]) -> None:
    damaged = bytearray(shards[0].read_bytes())
    damaged[200 : len(damaged) // 2] = bytes(len(damaged) // 2 - 200)
    shards[0].write_bytes(damaged)
    fault, *_ = faults_of(shards[0].parent)
    assert fault.startswith("part-00000-of-00002.parquet: damaged or truncated (")
    assert "\n" not in fault


def test_a_shard_that_is_missing_from_its_set(shards: list[Path]) -> None:
    shards[1].unlink()
    folder = shards[0].parent
    assert faults_of(folder) == [f"{folder}: 1 shard of 2; missing are [1], counted from 0; copy them here"]


def test_a_shard_that_is_there_twice(shards: list[Path]) -> None:
    shutil.copy(shards[0], shards[0].with_name("copy.parquet"))
    folder = shards[0].parent
    assert faults_of(folder) == [f"{folder}: 3 shards of 2; some are there twice; remove copies"]


def test_a_shard_of_another_data_set(shards: list[Path], planted: Planted, tmp_path: Path) -> None:
    [other] = write_shards(planted(seed=1), tmp_path / "other")
    shutil.copy(other, shards[0].with_name("z.parquet"))
    [fault] = faults_of(shards[0].parent)
    assert fault.startswith("z.parquet: belongs to another data set than part-00000-of-00002.parquet (digest ")
    assert fault.endswith("keep one set a folder")


def test_a_format_of_another_version(shards: list[Path]) -> None:
    rewrite(shards[0], lambda table: with_metadata(table, version=9))
    [fault] = faults_of(shards[0].parent)
    assert fault == "part-00000-of-00002.parquet: version: 9; this program reads version 1"


def test_a_modality_narrower_than_promised(shards: list[Path]) -> None:
    rewrite(shards[0], lambda table: with_metadata(table, modalities={"rgb": 8, "audio": 3, "flow": 2}))
    assert faults_of(shards[0].parent) == [
        "part-00000-of-00002.parquet: modality 'rgb' is 6 wide; its metadata says 8",
        "part-00000-of-00002.parquet: modality 'flow' is missing; its metadata promises it",
    ]


def test_columns_that_are_missing_or_of_the_wrong_type(shards: list[Path]) -> None:
    rewrite(shards[0], lambda table: table.drop(["group"]).set_column(1, "action", pa.array(range(20))))
    assert faults_of(shards[0].parent) == [
        "part-00000-of-00002.parquet: column 'action' has type int64; it must be string",
        "part-00000-of-00002.parquet: column 'group' is missing",
    ]


def test_segments_that_do_not_add_up(shards: list[Path]) -> None:
    def spoil(table: Any) -> Any:
        return table.set_column(5, table.schema.field("segments"), pa.array(np.full(20, 2, dtype=np.int32)))

    rewrite(shards[0], spoil)
    fault, *_ = faults_of(shards[0].parent)
    assert fault.startswith("part-00000-of-00002.parquet: row group 0: rgb has ")
    assert fault.endswith("the column 'segments' adds up to 20; write the shards again")


def test_empty_cells_and_repeated_ids(shards: list[Path]) -> None:
    def spoil(table: Any) -> Any:
        ids = table.column("video_id").to_pylist()
        return table.set_column(0, "video_id", pa.array([ids[1], *ids[1:-1], None]))

    for shard in shards:
        rewrite(shard, spoil)
    assert faults_of(shards[0].parent) == ["part-00000-of-00002.parquet: column 'video_id' is empty for 1 video"]


def test_an_id_in_two_shards(planted: Planted, tmp_path: Path) -> None:
    features = planted()
    twice = dataclasses.replace(features, video_ids=("v001", *features.video_ids[1:]))
    with pytest.raises(ShardError, match="video 'v001': occurs 2 times; ids are unique"):
        write_shards(twice, tmp_path)


def test_what_is_not_there_is_named_with_a_near_miss(shards: list[Path]) -> None:
    folder = shards[0].parent
    assert faults_of(folder, actions=["ball", "Hoop"], modalities=["rbg"], splits=["val"]) == [
        f"{folder}: no action 'ball'; there are Ball, Hoop; did you mean 'Ball'?",
        f"{folder}: no split 'val'; there are train, test",
        f"{folder}: no modality 'rbg'; there are rgb, audio; did you mean 'rgb'?",
    ]


def test_the_table_of_contents_finds_faults_of_files_too(shards: list[Path]) -> None:
    shards[1].write_bytes(b"")
    with pytest.raises(ShardError, match="part-00001-of-00002.parquet: not a readable Parquet file"):
        read_table_of_contents(shards[0].parent)


def test_the_error_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(ShardError(["a: is bad", "b: is worse"])))
    assert error.faults == ["a: is bad", "b: is worse"]
    assert str(error) == "a: is bad\nb: is worse"


def test_a_byte_that_turned_is_found_before_anything_is_trained_on_it(planted: Planted, tmp_path: Path) -> None:
    [path] = write_shards(planted(), tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(ShardError, match=rf"{path.name}: damaged or truncated \(.*; copy or write it again"):
        read_shards(tmp_path)
