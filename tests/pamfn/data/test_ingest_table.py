from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pamfn import ingest
from pamfn.data.shards import read_shards, read_table_of_contents

Command = Callable[..., Any]
Capsys = pytest.CaptureFixture[str]


@pytest.fixture
def command(table_source: Path, tmp_path: Path, capsys: Capsys) -> Any:
    """Returns a function that ingests the source and returns status and faults."""

    def run(*options: Any) -> Any:
        common = ["--layout", "table", "--source", str(table_source), "--out", str(tmp_path / "out")]
        status = ingest.main([*common, "--score-max", "10", *options])
        return status, capsys.readouterr().err.splitlines()[:-1]

    return run


def save(path: Path, **changes: Any) -> None:
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez(path, **{**arrays, **changes})


def test_columns_are_named_by_options_and_modalities_by_files(command: Command, tmp_path: Path) -> None:
    status, faults = command("--action-column", "class", "--group-column", "speaker")
    assert (status, faults) == (0, [])
    schema, contents = read_table_of_contents(tmp_path / "out")
    assert (schema.modalities, schema.scores) == ({"pros": 3, "spec": 5}, {"score": 10.0})
    assert set(contents.actions) == {"child", "adult"}
    assert contents.groups[contents.video_ids.index("s5")] == "sp2"


def test_without_named_columns_there_is_one_action_and_no_group(command: Command, tmp_path: Path) -> None:
    assert command()[0] == 0
    contents = read_table_of_contents(tmp_path / "out")[1]
    assert set(contents.actions) == {"all"}
    assert set(contents.groups) == {None}


def test_half_precision_stays_half_precision(command: Command, table_source: Path, tmp_path: Path) -> None:
    assert command()[0] == 0
    features = read_shards(tmp_path / "out")
    assert features.features["spec"].dtype == np.float16
    with np.load(table_source / "spec.npz") as archive:
        third = slice(*np.cumsum(archive["lengths"])[1:3])
        np.testing.assert_array_equal(
            features.subset([features.video_ids.index("s2")]).features["spec"], archive["data"][third]
        )


BAD_FILES = {
    "lengths that do not add up": (
        {"lengths": np.full(8, 2)},
        "data has shape ({rows}, 3); it must be (sum of lengths, D), and lengths add up to 16",
    ),
    "negative lengths": (
        {"lengths": np.arange(8) - 1},
        "lengths are int64, the least is -1; they must be whole and not negative",
    ),
    "fewer lengths than ids": (
        {"lengths": np.ones(3, dtype=int)},
        "ids (8,) and lengths (3,) must be flat and equally long",
    ),
    "an id twice": (
        {"ids": np.array(["s0", "s0", "s2", "s3", "s4", "s5", "s6", "s7"])},
        "video 's0': occurs 2 times in ids; ids are unique",
    ),
    "ids of bytes": (
        {"ids": np.array([b"s0", b"s1", b"s2", b"s3", b"s4", b"s5", b"s6", b"s7"])},
        "ids are |S2; they must be text, as in labels.csv",
    ),
    "pickled ids": (
        {"ids": np.array(["s0", None], dtype=object)},
        "is not a readable .npz archive (Object arrays cannot be loaded when allow_pickle=False)",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_stream_is_named_once_and_not_for_every_video(command: Command, table_source: Path, case: str) -> None:
    changes, rule = BAD_FILES[case]
    with np.load(table_source / "pros.npz") as archive:
        rows = len(archive["data"])
    save(table_source / "pros.npz", **changes)
    assert command() == (1, [f"pros.npz: {rule.format(rows=rows)}"])


def test_a_truncated_archive_is_said_to_be_one(command: Command, table_source: Path) -> None:
    content = (table_source / "pros.npz").read_bytes()
    (table_source / "pros.npz").write_bytes(content[: len(content) // 2])
    status, [fault] = command()
    assert status == 1
    assert fault.startswith("pros.npz: is not a readable .npz archive (")


def test_labels_without_features_and_bad_rows_are_all_named(command: Command, table_source: Path) -> None:
    with (table_source / "labels.csv").open("a") as file:
        file.write("s8,train,child,sp9,5\ns1,train,child,sp9,5\ns9,dev,child,sp9,11\n")
    no_features = "no features; every labelled video needs all modalities"
    assert command("--action-column", "class") == (1, [
        "labels.csv:12: video 's9': split 'dev' is not one of train, test",
        "labels.csv:12: video 's9': score 'score' is 11, outside 0 to 10; "
        "correct it, or give the true C by --score-max",
        "labels.csv:11: video 's1': is already at labels.csv:3; ids are unique",
        f"pros.npz: video 's8': pros: {no_features}",
        f"spec.npz: video 's8': spec: {no_features}",
        f"pros.npz: video 's9': pros: {no_features}",
        f"spec.npz: video 's9': spec: {no_features}",
    ])  # fmt: skip


def test_a_stream_cannot_be_called_like_a_column(command: Command, table_source: Path) -> None:
    (table_source / "pros.npz").rename(table_source / "group.npz")
    assert command() == (1, [
        "group.npz: modality 'group': a name is letters, digits, '_' and '-', and none of "
        "action, group, scores, segment_labels, segments, split, video_id"
    ])  # fmt: skip


def test_a_folder_without_streams_or_labels(command: Command, table_source: Path) -> None:
    for path in table_source.iterdir():
        path.unlink()
    assert command() == (1, [
        f"{table_source}: holds no <modality>.npz; there must be one for each stream",
        "labels.csv: cannot be read (No such file or directory)",
    ])  # fmt: skip


def test_a_folder_with_labels_and_no_streams(command: Command, table_source: Path) -> None:
    for path in table_source.glob("*.npz"):
        path.unlink()
    assert command() == (1, [f"{table_source}: holds no <modality>.npz; there must be one for each stream"])


def test_a_folder_that_no_file_system_can_hold_is_a_wrong_request(command: Command) -> None:
    out = "o" * 300
    assert command("--out", out) == (2, [f"{out}: cannot be a folder (File name too long); --out names a folder"])


def test_names_are_short_and_can_be_printed(command: Command, table_source: Path) -> None:
    long = "L" * 101
    with (table_source / "labels.csv").open("a") as file:
        file.write(f'x,train,"a\nb",sp9,5\ny,train,{long},sp9,5\n')
    _, faults = command("--action-column", "class")
    assert faults[:2] == [
        "labels.csv:11: action 'a\\nb' has 3 characters; a name has 100 at most, all of them printable",
        f"labels.csv:12: action '{'L' * 20}...' has 101 characters; a name has 100 at most, all of them printable",
    ]


def test_dropping_every_video_is_refused(command: Command, table_source: Path) -> None:
    with np.load(table_source / "pros.npz") as archive:
        lengths = archive["lengths"] + 5
    save(table_source / "pros.npz", lengths=lengths, data=np.ones((int(lengths.sum()), 3)))
    assert command("--on-mismatch", "drop") == (1, [
        "no videos are left; every one of them was dropped for its streams' lengths"
    ])  # fmt: skip


def test_real_speech_is_ingested_whole(shared_data: Callable[[str], Path], tmp_path: Path, capsys: Capsys) -> None:
    source = str(shared_data("speechocean762"))
    columns = ["--action-column", "group", "--group-column", "speaker", "--score-max", "10"]
    assert ingest.main(["--layout", "table", "--source", source, "--out", str(tmp_path), *columns]) == 0
    assert capsys.readouterr().out.startswith(
        "5000 videos (train 2500, test 2500) of 2 actions (adult, child); dspec 80, pros 19, spec 80; "
    )
    schema, contents = read_table_of_contents(tmp_path)
    assert schema.modalities == {"dspec": 80, "pros": 19, "spec": 80}
    assert contents.lengths.sum() == 97360
    assert [contents.lengths.min(), contents.lengths.max(), np.median(contents.lengths)] == [7, 101, 17]
    assert (contents.scores["score"] == 10).sum() == 425
    speakers = {split: {contents.groups[i] for i in contents.where(split=split)} for split in ("train", "test")}
    assert (len(speakers["train"]), len(speakers["test"])) == (125, 125)
    assert not speakers["train"] & speakers["test"]
    child = read_shards(tmp_path, actions=["child"], splits=["train"], modalities=["pros"])
    assert len(child) == 1160
    assert child.features["pros"].dtype == np.float16
