"""What a network decides, and which modality it attends to, on whole videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from pamfn.data.bank import Bank
from pamfn.phases.saved import SavedNetworks
from pamfn.recipe import Recipe
from pamfn.replicas.segments import Segments


@dataclass(frozen=True, eq=False)
class Observed:
    """One network on one video.

    Args:
        segments: Segments of the video, zero-padding included.
        score: The predicted score, in the annotators' unit.
        decisions: Decision of each stage that makes any, 1 to K, (steps,).
        attention: MSFD's weights of each stage that has any, (heads, M, steps).
    """

    segments: int
    score: float
    decisions: list[NDArray[np.int64]]
    attention: list[NDArray[np.float64]]


def decides(recipe: Recipe) -> bool:
    """Returns whether networks of a recipe make decisions (Figures 5 and 8)."""
    return recipe.has_policy


def attends(recipe: Recipe) -> bool:
    """Returns whether networks of a recipe attend to modalities step by step (Figure 7)."""
    return recipe.of.builder.endswith(":PAMFN") and recipe.msfd == "attention"


@torch.no_grad()
def observe(networks: SavedNetworks, index: int, bank: Bank, videos: Sequence[int]) -> list[Observed]:
    """Runs one network over videos, one at a time; decisions are PolicyNet's arg max, without Gumbel noise.

    Args:
        networks: Saved networks.
        index: Which of them.
        bank: Features, in the networks' modalities.
        videos: Indices into the bank.
    """
    one = slice(index, index + 1)
    mine = replace(networks, names=networks.names[one], targets=networks.targets[one], states=networks.states[one])
    network, shortest = mine.network(), 2 ** (networks.recipe.stages - 1) if networks.recipe.pools else 1
    found = []
    for video in videos:
        x, lengths_RB = bank.whole(torch.tensor([[video]]))
        steps = int(lengths_RB)
        output = network(x, Segments(steps, lengths_RB), None)
        found.append(
            Observed(
                max(steps, shortest),
                float(mine.targets[0].decode(float(output.score_RB))),
                [decision[0, 0].numpy() for decision in output.decisions],
                [weights[0, :, :, 0].double().numpy() for weights in output.attention],
            )
        )
    return found
