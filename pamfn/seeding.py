"""Seeds: every random number of a study comes from one seed and a name of what it is for."""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def derive(seed: int, *names: str | int) -> int:
    """Returns a 63-bit seed for one named purpose, the same on every machine and in every process.

    Args:
        seed: The parent's seed.
        names: What the derived seed is for, from general to special, such as ``"order", epoch``. Whole numbers of
            any type, NumPy's too, name the same purpose; the text ``"1"`` and the number 1 do not.
    """
    text = "\x1f".join([str(int(seed)), *(f"str:{n}" if isinstance(n, str) else f"int:{int(n)}" for n in names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Returns NumPy's generator for one named purpose."""
    return np.random.Generator(np.random.PCG64(derive(seed, *names)))


def torch_generator(seed: int, *names: str | int) -> torch.Generator:
    """Returns torch's CPU generator for one named purpose (initial weights are drawn on the CPU on every machine)."""
    return torch.Generator().manual_seed(derive(seed, *names))
