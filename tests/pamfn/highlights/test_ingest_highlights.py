"""A table of videos whose segments are labelled becomes shards; what does not fit is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pamfn.data.shards import read_shards
from pamfn.ingest import main

LENGTHS = np.array([4, 6, 3, 5])
MATCHES = np.array([1, -1, 0, 1, *[-1] * 6, 1, 1, 1, 0, 0.5, -1, -1, -1])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Returns four videos of two topics with two streams, one of which is a segment longer for the last video."""
    root = tmp_path / "table"
    root.mkdir()
    rng, ids = np.random.default_rng(0), np.array([f"clip{i}" for i in range(4)])
    longer = LENGTHS + [0, 0, 0, 1]
    for name, lengths, width in (("rgb", LENGTHS, 3), ("audio", longer, 2)):
        np.savez(root / name, ids=ids, lengths=lengths, data=rng.standard_normal((lengths.sum(), width)))
    labels(root, MATCHES)
    rows = [f"{name},{('train', 'test')[i % 2]},{('dog', 'surfing')[i // 2]}" for i, name in enumerate(ids)]
    (root / "labels.csv").write_text("\n".join(["id,split,topic", *rows]) + "\n")
    return root


def labels(root: Path, data: Any, lengths: Any = LENGTHS, videos: int = 4) -> None:
    ids = np.array([f"clip{i}" for i in range(videos)])
    np.savez(root / "segment_labels", ids=ids, lengths=np.asarray(lengths)[:videos], data=np.asarray(data))


def ingest(source: Path, *more: str) -> int:
    out = str(source.parent / "shards")
    return main(["--layout", "table", "--source", str(source), "--out", out, "--action-column", "topic", *more])


def test_labels_become_those_of_the_segments_and_their_share_the_score(source: Path) -> None:
    assert ingest(source) == 0
    read = read_shards(source.parent / "shards")
    assert read.schema.modalities == {"audio": 2, "rgb": 3}
    assert read.schema.scores == {"highlights": 1.0}
    assert dict(zip(read.video_ids, read.scores["highlights"], strict=True)) == pytest.approx(
        {"clip0": 2 / 4, "clip1": 0.0, "clip2": 1.0, "clip3": 1 / 5}
    )
    assert read.segment_labels is not None
    ends = np.cumsum(LENGTHS)
    for i, video in enumerate(read.video_ids):
        mine = int(video[-1])
        np.testing.assert_array_equal(
            read.segment_labels[read.rows([i])], MATCHES[ends[mine] - LENGTHS[mine] : ends[mine]]
        )


def test_a_stream_that_is_shorter_cuts_the_labels_as_well(source: Path) -> None:
    labels(source, [*MATCHES, 1, 1], [4, 6, 3, 7])
    assert ingest(source) == 0
    read = read_shards(source.parent / "shards")
    assert read.lengths.tolist() == [4, 6, 3, 5]
    assert read.segment_labels is not None
    assert read.segment_labels[read.rows([3])].tolist() == [0, 0.5, -1, -1, -1]


def test_a_score_column_is_kept_where_it_is_named(source: Path) -> None:
    text = (source / "labels.csv").read_text().splitlines()
    (source / "labels.csv").write_text(
        "\n".join([f"{text[0]},liked", *(f"{row},{i}" for i, row in enumerate(text[1:]))])
    )
    assert ingest(source, "--score-column", "liked", "--score-max", "10") == 0
    read = read_shards(source.parent / "shards")
    assert read.schema.scores == {"liked": 10.0}
    assert read.segment_labels is not None


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda root: labels(root, MATCHES[:-1]),
            "segment_labels.npz: data has shape (17, 1); it must be (sum of lengths",
        ),
        (lambda root: labels(root, np.stack([MATCHES, MATCHES], 1)), "labels are one number a segment"),
        (
            lambda root: labels(root, MATCHES[:13], videos=3),
            "segment_labels.npz: video 'clip3': segment_labels: no labels;",
        ),
        (lambda root: labels(root, [*MATCHES[:-1], np.nan]), "NaN or infinity in 1 segment, the first is 4"),
        (
            lambda root: labels(root, MATCHES.repeat(2), LENGTHS * 2),
            "streams are audio 4, rgb 4, segment_labels 8 segments",
        ),
    ],
)
def test_labels_that_do_not_fit_are_refused(
    source: Path, spoil: Any, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(source)
    assert ingest(source) == 1
    assert message in capsys.readouterr().err


def test_without_labels_a_score_is_needed(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (source / "segment_labels.npz").unlink()
    assert ingest(source) == 2
    assert "--score-max: is needed by --layout table" in capsys.readouterr().err
    assert ingest(source, "--score-max", "1") == 1
    assert "no column 'score'" in capsys.readouterr().err
