"""Planted data that a study makes on the spot."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from pamfn.data.shards import write_shards
from pamfn.data.synthetic import generate
from tuning.sections import Synthetic


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
