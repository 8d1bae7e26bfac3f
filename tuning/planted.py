"""Planted data that a study makes on the spot."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pamfn.data.features import Contents
from pamfn.data.planted_sizes import SIZES
from pamfn.data.shards import write_shards
from pamfn.data.synthetic import VIDEOS_AN_ATHLETE, generate, schema_of
from tuning.sections import Synthetic
from tuning.storage import is_remote, open_store

WHOLE = "_whole"  # in a bucket: all shards of a planted set are there


def ensure_planted(synthetic: Synthetic, folder: Path) -> None:
    """Makes the planted data of a space in its folder, unless the folder is there.

    They are written beside it and renamed: a folder that is there holds all of them, whoever was killed meanwhile.
    """
    if folder.exists():
        return
    features, _ = generate(synthetic.size, synthetic.seed, synthetic.control)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:
        made = Path(beside, folder.name)
        write_shards(features, made)
        try:
            made.rename(folder)
        except OSError:
            if not folder.exists():  # if it is: another launch made the same data meanwhile
                raise


def ensure_planted_at(synthetic: Synthetic, location: str) -> None:
    """Makes the planted data of a space in its folder, or bucket, unless they are there."""
    if not is_remote(location):
        return ensure_planted(synthetic, Path(location))
    if planted_are_at(location):
        return None
    store = open_store(location)
    with TemporaryDirectory(prefix="planted-") as beside:
        made = Path(beside, "planted")
        ensure_planted(synthetic, made)
        for path in sorted(made.iterdir()):
            store.put(path.name, path)
    return store.write(WHOLE, b"")


def planted_are_at(location: str) -> bool:
    """Tells whether planted data have been made at a location, all of them."""
    if not is_remote(location):
        return Path(location).exists()
    return open_store(location).read(WHOLE) is not None


def planted_contents(synthetic: Synthetic) -> Contents:
    """Returns what is known of planted data before they are made: names, splits, groups and sizes.

    Scores and lengths are only spread as theirs are, and the digest is empty.
    """
    size = SIZES[synthetic.size]
    of_class = range(size.train + size.test)
    videos = [(action, i) for action in size.actions for i in of_class]
    lengths = np.linspace(*size.segments, num=len(of_class)).round().astype(np.int64)
    shares = np.tile((np.arange(len(of_class)) + 0.5) / len(of_class), len(size.actions))
    return Contents(
        schema=schema_of(size),
        video_ids=tuple(f"{action}_{i + 1:03d}" for action, i in videos),
        actions=tuple(action for action, _ in videos),
        splits=tuple("train" if i < size.train else "test" for _, i in videos),
        groups=tuple(f"{action}_athlete_{i // VIDEOS_AN_ATHLETE + 1:02d}" for action, i in videos),
        scores={name: size.largest * shares for name in size.scores},
        lengths=np.tile(np.random.default_rng(0).permutation(lengths), len(size.actions)),
    )
