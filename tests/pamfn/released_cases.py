"""What the tests of importing released checkpoints share: videos, their released scores, and importing them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from released_network import WIDTHS, Released
from torch import Tensor

from pamfn.data.bank import Bank
from pamfn.import_released import main
from pamfn.phases.saved import load_networks
from pamfn.phases.scoring import predict

LENGTHS = (7, 8, 31, 70, 16)
State = dict[str, Tensor]
Videos = list[dict[str, Tensor]]


def videos(lengths: tuple[int, ...] = LENGTHS) -> Videos:
    """Returns videos of these lengths, each with a level of its own, so that means over time tell them apart."""
    drawn = torch.Generator().manual_seed(0)

    def stream(steps: int, width: int) -> Tensor:
        return torch.randn(steps, width, generator=drawn) + 2 * torch.randn(width, generator=drawn)

    return [{name: stream(steps, width) for name, width in WIDTHS.items()} for steps in lengths]


@torch.no_grad()
def scores_of(network: Released, of: Videos) -> tuple[list[float], list[list[int]]]:
    """Scores videos one by one; returns the scores, and the decisions of every stage, all videos' together."""
    scores, decisions = [], [list[int]() for _ in range(network.stages)]
    for video in of:
        score, decided = network({name: x.T[None] for name, x in video.items()})
        scores.append(score.item())
        for all_of_stage, mine in zip(decisions, decided, strict=True):
            all_of_stage += mine.flatten().tolist()
    return scores, decisions


def imported(folder: Path, state: State, *options: str) -> Path:
    folder.mkdir(exist_ok=True)
    torch.save(state, folder / "final.pth")
    out = folder / "networks"
    assert main(["--fusion", str(folder / "final.pth"), "--out", str(out), *options]) == 0
    return out


def rescored(out: Path, of: Videos) -> NDArray[np.float64]:
    """Scores videos in padded batches by the networks of a folder."""
    rows = {n: torch.cat([*(video[n] for video in of), torch.zeros(1, width)]) for n, width in WIDTHS.items()}
    lengths = torch.tensor([len(video["rgb"]) for video in of])
    bank = Bank(rows, lengths.cumsum(0) - lengths, lengths)
    networks = load_networks(out)
    return predict(networks.network(), bank.only(*networks.widths), [np.arange(len(of))])[0]


def renamed(state: State, changes: list[tuple[str, str]]) -> State:
    for old, new in changes:
        state = {name.replace(old, new): value for name, value in state.items()}
    return state
