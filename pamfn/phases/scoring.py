"""Scoring whole videos with many replicas at once, in padded batches of similar length."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pamfn.data.bank import ABSENT, Bank, StreamBank
from pamfn.metrics import is_constant, spearman
from pamfn.phases.replica import Replica
from pamfn.replicas.noise import Noise
from pamfn.replicas.segments import Segments

ROOM = 16384  # segments of all replicas in one batch; bounds the memory of scoring


@torch.no_grad()
def predict(
    network: nn.Module,
    bank: Bank | StreamBank,
    videos: Sequence[NDArray[np.int64]],
    *,
    noise: Callable[[NDArray[np.int64]], Noise] | None = None,
    given: Callable[[NDArray[np.int64], int], Mapping[str, list[Tensor]]] | None = None,
) -> list[NDArray[np.float64]]:
    """Scores each replica's videos, whole, in evaluation mode.

    A score is a function of the video alone: the batch a video falls into changes it by rounding only.

    Args:
        network: A stacked network of as many replicas as ``videos`` has entries.
        bank: The features.
        videos: Indices of the videos of each replica.
        noise: Makes the Gumbel noise of one video a replica, (R,), -1 for none, as the release has it in evaluation;
            videos are then scored one at a time, since noise goes by the place in a batch. None for the arg max.
        given: Returns the feature maps of branches that the network does not have, of videos (R, B) padded to so many
            segments.

    Returns:
        Scores in (0, 1) for each replica, in the order of its videos.
    """
    was_training = network.training
    network.eval()
    lengths = bank.lengths_V.cpu().numpy()
    orders = [np.argsort(-lengths[mine], kind="stable") for mine in videos]
    scores = [np.zeros(len(mine)) for mine in videos]
    first, most = 0, max((len(mine) for mine in videos), default=0)
    while first < most:
        longest = max(int(lengths[mine[o[first]]]) for mine, o in zip(videos, orders, strict=True) if first < len(mine))
        room = 1 if noise is not None else max(1, min(most - first, ROOM // (len(videos) * longest)))
        batch = np.full((len(videos), room), ABSENT, dtype=np.int64)
        for r, (mine, order) in enumerate(zip(videos, orders, strict=True)):
            some = mine[order[first : first + room]]
            batch[r, : len(some)] = some
        x, lengths_RB = bank.whole(torch.from_numpy(batch))
        drawn = None if noise is None else noise(batch[:, 0])
        steps = next(iter(x.values())).shape[2]
        maps = {} if given is None else {"given": given(batch, steps)}
        output = network(x, Segments(steps, lengths_RB), drawn, **maps)
        score_RB = output.score_RB.double().cpu().numpy()
        for r, order in enumerate(orders):
            some = order[first : first + room]
            scores[r][some] = score_RB[r, : len(some)]
        first += room
    network.train(was_training)
    return scores


def correlate(scores: Sequence[NDArray[np.float64]], replicas: Sequence[Replica]) -> tuple[list[float], list[bool]]:
    """Returns each replica's Spearman correlation on its held-out videos, and whether its scores are all one value."""
    pairs = [(mine, r.scores_V[r.valid]) for mine, r in zip(scores, replicas, strict=True)]
    return [spearman(mine, truth) for mine, truth in pairs], [is_constant(mine) for mine, _ in pairs]
