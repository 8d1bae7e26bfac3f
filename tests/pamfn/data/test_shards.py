from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from pamfn.data import shard_writer
from pamfn.data.features import FeatureSet
from pamfn.data.shard_files import Shard
from pamfn.data.shards import ShardError, read_shards, read_table_of_contents, write_shards

Planted = Callable[..., FeatureSet]


def video(features: FeatureSet, name: str) -> FeatureSet:
    return features.subset([features.video_ids.index(name)])


def assert_same_videos(read: FeatureSet, written: FeatureSet) -> None:
    assert sorted(read.video_ids) == sorted(written.video_ids)
    for name in read.video_ids:
        ours, theirs = video(read, name), video(written, name)
        assert (ours.actions, ours.splits, ours.groups) == (theirs.actions, theirs.splits, theirs.groups)
        assert ours.lengths == theirs.lengths
        assert ours.scores == theirs.scores
        for modality, values in ours.features.items():
            assert values.dtype == theirs.features[modality].dtype
            np.testing.assert_array_equal(values, theirs.features[modality])


@pytest.mark.parametrize("videos_per_shard", [1, 7, 256])
def test_what_is_read_is_what_was_written_however_it_is_cut(
    planted: Planted, tmp_path: Path, videos_per_shard: int
) -> None:
    written = planted()
    paths = write_shards(written, tmp_path / "out", videos_per_shard=videos_per_shard)
    assert len(paths) == {1: 40, 7: 5, 256: 1}[videos_per_shard]
    assert_same_videos(read_shards(tmp_path / "out"), written)


def test_videos_come_ordered_by_action_split_and_id(planted: Planted, tmp_path: Path) -> None:
    write_shards(planted(), tmp_path, videos_per_shard=7)
    read = read_shards(tmp_path)
    keys = [(a, s == "test", v) for a, s, v in zip(read.actions, read.splits, read.video_ids, strict=True)]
    assert keys == sorted(keys)


def test_the_digest_depends_on_content_and_not_on_order_or_shards(planted: Planted, tmp_path: Path) -> None:
    features = planted()
    write_shards(features, tmp_path / "a", videos_per_shard=7)
    write_shards(features.subset(np.random.default_rng(3).permutation(40)), tmp_path / "b", videos_per_shard=40)
    write_shards(planted(seed=1), tmp_path / "c")
    a, b, c = (read_table_of_contents(tmp_path / name)[0].digest for name in "abc")
    assert a == b == features.sealed().schema.digest
    assert a != c


def test_labels_of_segments_and_missing_groups_survive(planted: Planted, tmp_path: Path) -> None:
    written = planted(labelled=True, seconds_per_segment=1.28, extractors={"rgb": "VST"})
    write_shards(written, tmp_path)
    read = read_shards(tmp_path)
    np.testing.assert_array_equal(video(read, "v003").segment_labels, video(written, "v003").segment_labels)
    assert None in read.groups
    assert (read.schema.seconds_per_segment, read.schema.extractors) == (1.28, {"rgb": "VST"})


def test_a_score_that_one_action_does_not_have_is_nan_there(planted: Planted, tmp_path: Path) -> None:
    features = planted(scores={"total": 25.0, "TES": 45.0})
    hoop = np.array(features.actions) == "Hoop"
    features.scores["TES"] = np.where(hoop, 30.0, np.nan)
    write_shards(features, tmp_path)
    contents = read_table_of_contents(tmp_path)[1]
    assert contents.annotated("Ball") == ("total",)
    assert contents.annotated("Hoop") == ("total", "TES")


def test_the_table_of_contents_needs_no_features(
    planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shards(planted(), tmp_path, videos_per_shard=7)
    monkeypatch.setattr(Shard, "read", lambda *_: pytest.fail("features were read"))
    schema, contents = read_table_of_contents(tmp_path)
    assert schema.modalities == {"rgb": 6, "audio": 3}
    assert contents.lengths.sum() == planted().lengths.sum()
    assert len(contents) == 40


def test_reading_one_action_and_split_touches_no_other_row_group(
    planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shards(planted(), tmp_path)
    read_groups = []
    original = Shard.read

    def recorded(shard: Shard, group: int, columns: list[str], lengths: NDArray[np.int64]) -> Any:
        read_groups.append(group)
        return original(shard, group, columns, lengths)

    monkeypatch.setattr(Shard, "read", recorded)
    features = read_shards(tmp_path, actions=["Hoop"], splits=["train"])
    assert len(read_groups) == 1
    assert set(features.actions) == {"Hoop"}
    assert set(features.splits) == {"train"}


def test_modalities_are_read_in_the_order_asked_for(planted: Planted, tmp_path: Path) -> None:
    write_shards(planted(), tmp_path)
    assert list(read_shards(tmp_path, modalities=["audio", "rgb"]).features) == ["audio", "rgb"]
    assert list(read_shards(tmp_path, modalities=["audio"]).features) == ["audio"]


def test_row_groups_that_mix_actions_are_read_right(planted: Planted, tmp_path: Path) -> None:
    written = planted()
    [path] = write_shards(written, tmp_path)
    table = pq.read_table(path)
    shuffled = table.take(np.random.default_rng(0).permutation(len(table)))
    pq.write_table(shuffled, path, row_group_size=9)
    read = read_shards(tmp_path, actions=["Ball"])
    assert_same_videos(read, written.subset(written.where(action="Ball")))


def test_a_uri_is_read_like_a_folder(planted: Planted, tmp_path: Path) -> None:
    write_shards(planted(), tmp_path / "out")
    assert len(read_shards((tmp_path / "out").as_uri())) == 40


def test_a_folder_that_holds_shards_is_not_written_to(planted: Planted, tmp_path: Path) -> None:
    [path] = write_shards(planted(), tmp_path)
    before = path.read_bytes()
    with pytest.raises(ShardError) as error:
        write_shards(planted(seed=1), tmp_path)
    assert error.value.faults == [
        f"{tmp_path}: already holds part-00000-of-00001.parquet (1 shard); choose another folder or remove them"
    ]
    assert path.read_bytes() == before


def test_an_interrupted_write_leaves_no_shard(
    planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = []

    def full_disk(*arguments: Any) -> Any:
        tables.append(arguments)
        if len(tables) == 3:
            raise OSError(28, "No space left on device")
        return original(*arguments)

    original = shard_writer._table
    monkeypatch.setattr(shard_writer, "_table", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_shards(planted(), tmp_path, videos_per_shard=7)
    assert list(tmp_path.iterdir()) == []


def test_a_stale_temporary_is_never_read_as_a_shard(planted: Planted, tmp_path: Path) -> None:
    stale = tmp_path / ".writing-killed"
    stale.mkdir()
    (stale / "part-00000-of-00009.parquet").write_bytes(b"half of a shard")
    (tmp_path / ".part-00001.parquet").write_bytes(b"half of a shard")
    write_shards(planted(), tmp_path)
    assert len(read_shards(tmp_path)) == 40


def test_videos_that_break_a_rule_are_not_written(planted: Planted, tmp_path: Path) -> None:
    features = planted()
    features.features["rgb"][features.offsets[3] + features.lengths[3] - 1, 0] = np.inf
    features.scores["total"][5] = 26
    with pytest.raises(ShardError) as error:
        write_shards(features, tmp_path / "out")
    last = features.lengths[3] - 1
    assert error.value.faults == [
        f"video {features.video_ids[5]!r}: score 'total' is 26, outside 0 to 25; "
        "correct it, or give the true C by --score-max",
        f"video {features.video_ids[3]!r}: rgb holds NaN or infinity in 1 segment, the first is {last}; "
        "extract its features again",
    ]
    assert not (tmp_path / "out").exists()


def test_no_videos_are_no_shard(planted: Planted, tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="there are no videos to write"):
        write_shards(planted().subset([]), tmp_path)
