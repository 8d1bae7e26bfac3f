"""Small sets of videos in memory, and small sources of each layout on disk; all sound until a test spoils them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pamfn.data.features import FeatureSet
from pamfn.data.schema import Schema

Planted = Callable[..., FeatureSet]


@pytest.fixture
def planted() -> Planted:
    """Returns a maker of random videos of two actions, with features of two modalities."""

    def make(videos: int = 40, *, seed: int = 0, labelled: bool = False, **schema: Any) -> FeatureSet:
        known: dict[str, Any] = {"modalities": {"rgb": 6, "audio": 3}, "scores": {"total": 25.0}}
        rng = np.random.default_rng(seed)
        lengths = rng.integers(1, 12, videos)
        rows = int(lengths.sum())
        return FeatureSet(
            schema=Schema(**{**known, **schema}),
            video_ids=tuple(f"v{i:03d}" for i in rng.permutation(videos)),
            actions=tuple(("Ball", "Hoop")[i % 2] for i in range(videos)),
            splits=tuple("test" if i % 5 == 4 else "train" for i in range(videos)),
            groups=tuple(None if i % 7 == 6 else f"athlete{i % 9}" for i in range(videos)),
            scores={"total": rng.uniform(0, 25, videos)},
            lengths=lengths,
            offsets=np.cumsum(lengths) - lengths,
            features={
                "rgb": rng.standard_normal((rows, 6)).astype(np.float16),
                "audio": rng.standard_normal((rows, 3)).astype(np.float32),
            },
            segment_labels=rng.integers(0, 2, rows).astype(np.float32) if labelled else None,
        )

    return make


@pytest.fixture
def published_source(tmp_path: Path) -> Path:
    """Returns a source as the authors publish it: four RG classes and Fis-V, features 1, widths 4, 4 and 3."""
    root = tmp_path / "data"
    for folder in ("features", "RG", "FISV"):
        (root / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    rg = {split: "name\tdifficulty\texecution\ttotal\tpenalty\tlength\n" for split in ("train", "test")}
    for action in ("Ball", "Clubs", "Hoop", "Ribbon"):
        names = [f"{action}_{i:03d}" for i in range(6)]
        for i, name in enumerate(names):
            rg["test" if i == 5 else "train"] += f"{name}\t7.5\t8.25\t{12 + i + 0.5:g}\t0.3\t95\n"
        write_published_features(root, action, names, rng)
    fisv = [str(i) for i in range(1, 7)]
    write_published_features(root, "FISV", fisv, rng)
    for split, ids in (("train", fisv[:5]), ("test", fisv[5:])):
        (root / "RG" / f"{split}.txt").write_text(rg[split])
        (root / "FISV" / f"{split}.txt").write_text("".join(f"{i} {20 + int(i)} {25.5 + int(i)}\n" for i in ids))
    return root


def write_published_features(root: Path, action: str, names: list[str], rng: np.random.Generator) -> None:
    """Writes the three streams of one class, each a pickled dict."""
    lengths = {name: int(rng.integers(5, 9)) for name in names}
    for modality, extractor, width in (("rgb", "VST", 4), ("flow", "I3D", 4), ("audio", "AST", 3)):
        videos = {name: rng.standard_normal((length, width)).astype(np.float32) for name, length in lengths.items()}
        np.save(root / "features" / f"{action}_{modality}_{extractor}.npy", np.array(videos), allow_pickle=True)


@pytest.fixture
def per_video_source(tmp_path: Path) -> Path:
    """Returns a source of one ``.npy`` a video, six videos of width 4."""
    root = tmp_path / "videos"
    (root / "features").mkdir(parents=True)
    rng = np.random.default_rng(1)
    for i in range(1, 7):
        np.save(root / "features" / f"{i}.npy", rng.standard_normal((4 + i, 4)).astype(np.float32))
    (root / "train.txt").write_text("".join(f"{i} {20 + i} {30.5 + i} 0\n" for i in range(1, 6)))
    (root / "test.txt").write_text("6 26.5 36\n")
    return root


@pytest.fixture
def table_source(tmp_path: Path) -> Path:
    """Returns a table of eight videos with streams ``pros`` (3 wide) and ``spec`` (5 wide)."""
    root = tmp_path / "table"
    root.mkdir()
    rng = np.random.default_rng(2)
    ids = np.array([f"s{i}" for i in range(8)])
    lengths = rng.integers(3, 9, 8)
    for name, width in (("pros", 3), ("spec", 5)):
        data = rng.standard_normal((int(lengths.sum()), width)).astype(np.float16)
        np.savez(root / f"{name}.npz", ids=ids, lengths=lengths, data=data)
    rows = [
        [ids[i], "test" if i > 5 else "train", ("child", "adult")[i % 2], f"sp{i // 2}", f"{i + 1.5}"] for i in range(8)
    ]
    with (root / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "split", "class", "speaker", "score"], *rows])
    return root
