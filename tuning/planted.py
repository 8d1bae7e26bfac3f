"""Planted data that a study makes on the spot."""

from __future__ import annotations

from pathlib import Path

from pamfn.data.faults import ShardError
from pamfn.data.shards import read_table_of_contents, write_shards
from pamfn.data.synthetic import generate
from tuning.sections import Synthetic


def ensure_planted(synthetic: Synthetic, folder: Path) -> None:
    """Makes the planted data of a space in its folder, unless they are there.

    They are written elsewhere first: a folder that is there holds all of them, whoever was killed meanwhile.

    Raises:
        ShardError: If what is there is not readable.
    """
    if folder.exists():
        read_table_of_contents(folder)
        return
    features, _ = generate(synthetic.size, synthetic.seed, synthetic.control)
    write_shards(features, folder)


__all__ = ["ShardError", "ensure_planted"]
