from __future__ import annotations

import pickle
import shutil
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
def command(published_source: Path, tmp_path: Path, capsys: Capsys) -> Any:
    """Returns a function that ingests the source and returns status, lines printed and faults."""

    def run(*options: Any) -> Any:
        out = str(tmp_path / "out")
        status = ingest.main(["--layout", "published", "--source", str(published_source), "--out", out, *options])
        printed = capsys.readouterr()
        return status, printed.out.splitlines(), printed.err.splitlines()[:-1]

    return run


@pytest.fixture
def change(published_source: Path) -> Any:
    """Returns a function that changes the dict of one feature file."""

    def apply(file: str, edit: Any) -> None:
        path = published_source / "features" / file
        videos = np.load(path, allow_pickle=True).item()
        edit(videos)
        np.save(path, videos, allow_pickle=True)

    return apply


def test_rhythmic_gymnastics_and_fis_v_have_their_own_scores(command: Command, tmp_path: Path) -> None:
    assert command()[0] == 0
    schema, contents = read_table_of_contents(tmp_path / "out")
    assert schema.modalities == {"rgb": 4, "flow": 4, "audio": 3}
    assert schema.scores == {"total": 25.0, "TES": 45.0, "PCS": 45.0}
    assert schema.extractors == {"rgb": "VST", "flow": "I3D", "audio": "AST"}
    assert schema.seconds_per_segment == 1.28
    assert sorted(set(contents.actions)) == ["Ball", "Clubs", "FISV", "Hoop", "Ribbon"]
    assert contents.annotated("Hoop") == ("total",)
    assert contents.annotated("FISV") == ("TES", "PCS")
    ball = contents.video_ids.index("Ball_003")
    assert contents.scores["total"][ball] == 15.5
    assert contents.splits[contents.video_ids.index("Ball_005")] == "test"


@pytest.mark.parametrize("present", ["RG", "FISV"])
def test_either_data_set_may_be_there_alone(
    command: Command, published_source: Path, tmp_path: Path, present: str
) -> None:
    shutil.rmtree(published_source / {"RG": "FISV", "FISV": "RG"}[present])
    assert command()[0] == 0
    schema = read_table_of_contents(tmp_path / "out")[0]
    assert list(schema.scores) == {"RG": ["total"], "FISV": ["TES", "PCS"]}[present]


def test_several_crops_a_segment_are_averaged(command: Command, change: Command, tmp_path: Path) -> None:
    crops = np.arange(5 * 2 * 4, dtype=np.float32).reshape(5, 2, 4)
    for file in ("Ball_rgb_VST.npy", "Ball_flow_I3D.npy"):
        change(file, lambda videos: videos.update(Ball_001=crops))
    change("Ball_audio_AST.npy", lambda videos: videos.update(Ball_001=np.ones((5, 3))))
    assert command()[0] == 0
    features = read_shards(tmp_path / "out")
    rgb = features.subset([features.video_ids.index("Ball_001")]).features["rgb"]
    np.testing.assert_array_equal(rgb, crops.mean(axis=1))


def test_the_second_features_come_from_their_own_files(
    command: Command, published_source: Path, tmp_path: Path
) -> None:
    for path in (published_source / "features").glob("*_VST.npy"):
        path.rename(path.with_name(path.name.replace("VST", "UMT")))
    for path in (published_source / "features").glob("*_AST.npy"):
        path.rename(path.with_name(path.name.replace("AST", "MAST")))
    assert command("--features", "2")[0] == 0
    assert read_table_of_contents(tmp_path / "out")[0].extractors == {"rgb": "UMT", "flow": "I3D", "audio": "MAST"}


def test_streams_up_to_two_segments_apart_are_cut_and_counted(
    command: Command, change: Command, tmp_path: Path
) -> None:
    change("Ball_rgb_VST.npy", lambda videos: videos.update(Ball_002=np.ones((9, 4))))
    change("Ball_flow_I3D.npy", lambda videos: videos.update(Ball_002=np.ones((8, 4))))
    change("Ball_audio_AST.npy", lambda videos: videos.update(Ball_002=np.ones((7, 3))))
    status, lines, _ = command()
    assert status == 0
    assert "cut 1 video to the shortest stream, at most 2 segments less" in lines
    contents = read_table_of_contents(tmp_path / "out")[1]
    assert contents.lengths[contents.video_ids.index("Ball_002")] == 7


def test_streams_further_apart_are_refused_or_dropped(command: Command, change: Command, tmp_path: Path) -> None:
    change("Ball_rgb_VST.npy", lambda videos: videos.update(Ball_002=np.ones((10, 4))))
    change("Ball_flow_I3D.npy", lambda videos: videos.update(Ball_002=np.ones((10, 4))))
    change("Ball_audio_AST.npy", lambda videos: videos.update(Ball_002=np.ones((7, 3))))
    status, _, faults = command()
    assert (status, faults) == (1, [
        "RG/train.txt:4: video 'Ball_002': streams are rgb 10, flow 10, audio 7 segments long, more than 2 apart; "
        "repair them, or leave such videos out by --on-mismatch drop"
    ])  # fmt: skip
    status, lines, _ = command("--on-mismatch", "drop")
    assert status == 0
    assert lines[1:3] == [
        "dropped 1 video with streams more than 2 segments apart:",
        "  Ball_002: rgb 10, flow 10, audio 7",
    ]
    assert "Ball_002" not in read_table_of_contents(tmp_path / "out")[1].video_ids


def test_videos_without_a_label_are_left_out_and_counted(command: Command, change: Command) -> None:
    change("Hoop_rgb_VST.npy", lambda videos: videos.update(Hoop_999=np.ones((5, 4))))
    assert "left out 1 video with features and no label" in command()[1]


BAD_VIDEOS = {
    "a modality is missing": (
        lambda videos: videos.pop("Ball_001"),
        "no features; every labelled video needs all modalities",
    ),
    "NaN": (
        lambda videos: videos["Ball_001"].__setitem__((3, 1), np.nan),
        "NaN or infinity in 1 segment, the first is 3; extract its features again",
    ),
    "infinity": (
        lambda videos: videos["Ball_001"].__setitem__(slice(1, 3), -np.inf),
        "NaN or infinity in 2 segments, the first is 1; extract its features again",
    ),
    "no segments": (
        lambda videos: videos.update(Ball_001=np.ones((0, 4))),
        "shape (0, 4) holds no segments; a video needs at least one",
    ),
    "another width": (lambda videos: videos.update(Ball_001=np.ones((6, 5))), "width 5; most videos have 4"),
    "text": (
        lambda videos: videos.update(Ball_001=np.array([["a"]])),
        "an array of <U1 with shape (1, 1); it must be numbers (T, D) or (T, n, D)",
    ),
    "one flat row": (
        lambda videos: videos.update(Ball_001=np.ones(4)),
        "an array of float64 with shape (4,); it must be numbers (T, D) or (T, n, D)",
    ),
}


@pytest.mark.parametrize("case", BAD_VIDEOS)
def test_a_video_with_bad_features_is_named_with_file_and_rule(
    command: Command, change: Command, tmp_path: Path, case: str
) -> None:
    edit, rule = BAD_VIDEOS[case]
    change("Ball_rgb_VST.npy", edit)
    status, _, faults = command()
    assert (status, faults) == (1, [f"features/Ball_rgb_VST.npy: video 'Ball_001': rgb: {rule}"])
    assert not (tmp_path / "out").exists()


def test_a_number_too_large_for_half_precision_is_refused(command: Command, change: Command) -> None:
    change("Ball_rgb_VST.npy", lambda videos: videos["Ball_001"].__setitem__((0, 0), 70000))
    assert command("--dtype", "float16")[2] == [
        "features/Ball_rgb_VST.npy: video 'Ball_001': rgb: 70000 is too large for float16; "
        "use --dtype float32, or scale the features"
    ]


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("1",)


def test_files_that_are_not_what_they_claim(command: Command, published_source: Path) -> None:
    features = published_source / "features"
    (features / "Ball_rgb_VST.npy").write_bytes(pickle.dumps({"Ball_000": Harmful()}))
    (features / "Clubs_rgb_VST.npy").unlink()
    np.save(features / "Hoop_rgb_VST.npy", np.ones((3, 4)))
    whole = (features / "Ribbon_rgb_VST.npy").read_bytes()
    (features / "Ribbon_rgb_VST.npy").write_bytes(whole[: len(whole) // 2])
    status, _, faults = command()
    assert status == 1
    assert faults[:3] == [
        "features/Ball_rgb_VST.npy: its pickle asks for builtins.eval; only NumPy arrays are loaded",
        "features/Clubs_rgb_VST.npy: is missing; 6 labelled videos without features",
        "features/Hoop_rgb_VST.npy: holds an array of float64, not a pickled dict from video id to array",
    ]
    assert faults[3].startswith("features/Ribbon_rgb_VST.npy: is not a pickled dict of arrays (")
    assert len(faults) == 4


def test_labels_that_break_rules_are_all_named(command: Command, published_source: Path) -> None:
    with (published_source / "RG" / "train.txt").open("a") as file:
        file.write("Bal_001\t1\t1\t12\t0\t95\nBall_001\t1\t1\t12\t0\t95\nHoop_005\t1\t1\t99\t0\t95\n")
    with (published_source / "FISV" / "test.txt").open("a") as file:
        file.write("7 20\n5 nan 20\n")
    assert command()[2] == [
        "RG/train.txt:24: video 'Hoop_005': score 'total' is 99, outside 0 to 25; "
        "correct it, or give the true C by --score-max",
        "RG/train.txt:22: video 'Bal_001': unknown action 'Bal'; "
        "a name begins with Ball, Clubs, Hoop, Ribbon; did you mean 'Ball'?",
        "FISV/test.txt:2: 2 cells; a row is: id TES PCS [deductions]",
        "FISV/test.txt:3: video '5': score 'TES' is missing (read as nan); every video needs one",
        "RG/train.txt:23: video 'Ball_001': is already at RG/train.txt:3; ids are unique",
        "RG/test.txt:4: video 'Hoop_005': is already at RG/train.txt:24; ids are unique",
        "FISV/test.txt:3: video '5': is already at FISV/train.txt:5; ids are unique",
    ]


def test_another_score_of_rhythmic_gymnastics_needs_its_largest_value(
    command: Command, published_source: Path, tmp_path: Path
) -> None:
    shutil.rmtree(published_source / "FISV")
    assert command("--score-column", "execution")[2] == [
        "RG: the largest value of score 'execution' is not known; give it by --score-max"
    ]
    assert command("--score-column", "execution", "--score-max", "10")[0] == 0
    assert read_table_of_contents(tmp_path / "out")[0].scores == {"execution": 10.0}


def test_a_folder_without_either_data_set_says_what_belongs_there(command: Command, published_source: Path) -> None:
    shutil.rmtree(published_source / "FISV")
    shutil.rmtree(published_source / "RG")
    assert command()[2] == [
        f"{published_source}: has neither RG/ nor FISV/; --source is the folder that holds features/ and them"
    ]
