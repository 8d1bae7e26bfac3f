from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pamfn import inspect
from pamfn.data.features import FeatureSet
from pamfn.data.shards import write_shards

Planted = Callable[..., FeatureSet]
Capsys = pytest.CaptureFixture[str]


def test_it_says_what_the_shards_hold(planted: Planted, tmp_path: Path, capsys: Capsys) -> None:
    features = planted(extractors={"rgb": "VST"}, seconds_per_segment=1.28)
    write_shards(features, tmp_path, videos_per_shard=16)
    assert inspect.main([str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    digest = features.sealed().schema.digest
    assert lines[0].startswith(
        f"{tmp_path}: 40 videos (train 32, test 8) of 2 actions (Ball, Hoop); rgb 6, audio 3; 3 shards, "
    )
    assert [line.split()[:3] for line in lines[2:5]] == [
        ["modality", "width", "stored"],
        ["rgb", "6", "float16"],
        ["audio", "3", "float32"],
    ]
    assert lines[3].endswith("VST")
    header, *rows = lines[6:11]
    assert header.split() == ["action", "split", "videos", "groups", "segments", "total", "(of", "25)"]
    assert [row.split()[:3] for row in rows] == [
        ["Ball", "train", "16"],
        ["Ball", "test", "4"],
        ["Hoop", "train", "16"],
        ["Hoop", "test", "4"],
    ]
    chosen = features.lengths[features.where(action="Ball", split="train")]
    assert f"{chosen.min()} / {np.median(chosen):.0f} / {chosen.max()}" in rows[0]
    assert "one segment is 1.28 s" in lines
    assert lines[-1] == f"digest {digest}"


def test_what_is_no_fault_and_worth_knowing_is_a_note(planted: Planted, tmp_path: Path, capsys: Capsys) -> None:
    features = planted()
    write_shards(features.subset(features.where(action="Ball", split="train")), tmp_path / "one")
    (tmp_path / "one" / ".writing-old").mkdir()
    inspect.main([str(tmp_path / "one")])
    printed = capsys.readouterr().out
    assert "note: action 'Ball' has no test videos" in printed
    assert "note: .writing-old is left from an interrupted write and may be removed" in printed
    write_shards(features, tmp_path / "both")
    inspect.main([str(tmp_path / "both")])
    assert "groups with videos in train and in test, 'athlete0' among them" in capsys.readouterr().out


def test_every_fault_of_the_content_is_listed_and_the_exit_is_one(
    planted: Planted, tmp_path: Path, capsys: Capsys
) -> None:
    features = planted()
    [path] = write_shards(features, tmp_path)
    table = pq.read_table(path)
    metadata = json.loads(table.schema.metadata[b"pamfn"]) | {
        "scores": {"total": float(sorted(features.scores["total"])[-3])}
    }
    table = table.replace_schema_metadata({b"pamfn": json.dumps(metadata).encode()})
    pq.write_table(table, path)
    assert inspect.main([str(tmp_path)]) == 1
    faults = capsys.readouterr().err.splitlines()
    assert len(faults) == 3
    assert all(fault.startswith(f"{tmp_path}: video 'v0") and "outside 0 to" in fault for fault in faults[:2])
    assert faults[2] == "2 faults"


def test_content_changed_after_writing_is_noticed(planted: Planted, tmp_path: Path, capsys: Capsys) -> None:
    features = planted()
    [path] = write_shards(features, tmp_path)
    table = pq.read_table(path)
    groups = table.column("group").to_pylist()
    pq.write_table(table.set_column(3, table.schema.field("group"), [["someone", *groups[1:]]]), path)
    assert inspect.main([str(tmp_path)]) == 1
    assert (
        capsys.readouterr()
        .err.splitlines()[0]
        .endswith(
            f"and the shards say {features.sealed().schema.digest[:12]}; they were changed after they were written: "
            "write them again"
        )
    )


def test_truncated_shards_are_all_named(planted: Planted, tmp_path: Path, capsys: Capsys) -> None:
    for path in write_shards(planted(), tmp_path, videos_per_shard=20):
        path.write_bytes(path.read_bytes()[:500])
    assert inspect.main([str(tmp_path)]) == 1
    faults = capsys.readouterr().err.splitlines()
    assert [fault.split(" (")[0] for fault in faults] == [
        "part-00000-of-00002.parquet: not a readable Parquet file, perhaps truncated",
        "part-00001-of-00002.parquet: not a readable Parquet file, perhaps truncated",
        "2 faults",
    ]


def test_a_folder_that_is_not_there_is_a_wrong_request(tmp_path: Path, capsys: Capsys) -> None:
    assert inspect.main([str(tmp_path / "absent")]) == 2
    assert capsys.readouterr().err == f"{tmp_path}/absent: is not a folder\n1 fault\n"
    assert inspect.main(["n" * 300]) == 2
    assert capsys.readouterr().err == f"{'n' * 300}: is not a folder\n1 fault\n"


def test_a_location_given_as_a_uri_is_read(planted: Planted, tmp_path: Path, capsys: Capsys) -> None:
    write_shards(planted(), tmp_path)
    assert inspect.main([tmp_path.as_uri()]) == 0
    assert inspect.main(["nosuch://bucket/folder"]) == 1
    assert capsys.readouterr().err.startswith("nosuch://bucket/folder: cannot be listed (")
