"""Scoring whole videos with many replicas at once, in padded batches of similar length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pamfn.data.bank import ABSENT, Bank, StreamBank
from pamfn.metrics import is_constant, spearman
from pamfn.model.output import Output
from pamfn.phases.pending import Pending, Transfer
from pamfn.phases.replica import Replica
from pamfn.replicas.noise import Noise
from pamfn.replicas.segments import Segments

ROOM = 16384  # segments of all replicas in one batch; bounds the memory of scoring


Given = Callable[[NDArray[np.int64], int], Mapping[str, list[Tensor]]]
Draw = Callable[[NDArray[np.int64]], Noise]
Said = Callable[[Output], Tensor]
Forward = Callable[[dict[str, Tensor], Tensor, Mapping[str, list[Tensor]]], Tensor]


def _scores(output: Output) -> Tensor:
    return output.score_RB


def predict(
    network: nn.Module,
    bank: Bank | StreamBank,
    videos: Sequence[NDArray[np.int64]],
    *,
    noise: Draw | None = None,
    given: Given | None = None,
    said: Said = _scores,
) -> list[NDArray[np.float64]]:
    """Scores each replica's videos, whole, in evaluation mode; see `predicting`, which does not wait for it."""
    return predicting(network, bank, videos, noise=noise, given=given, said=said).value()


@torch.no_grad()
def predicting(
    network: nn.Module,
    bank: Bank | StreamBank,
    videos: Sequence[NDArray[np.int64]],
    *,
    noise: Draw | None = None,
    given: Given | None = None,
    said: Said = _scores,
    forward: Forward | None = None,
) -> Pending[list[NDArray[np.float64]]]:
    """Has each replica's videos scored, whole, in evaluation mode.

    A score is a function of the video alone: the batch a video falls into changes it by rounding only.

    Args:
        network: A stacked network of as many replicas as ``videos`` has entries.
        bank: The features.
        videos: Indices of the videos of each replica.
        noise: Makes the Gumbel noise of one video a replica, (R,), -1 for none, as the release has it in evaluation;
            videos are then scored one at a time, since noise goes by the place in a batch. None for the arg max.
        given: Returns the feature maps of branches that the network does not have, of videos (R, B) padded to so many
            segments.
        said: What is asked for of the network's output: by default the videos' scores.
        forward: Calls the network without noise in another way, given features, lengths (R, B) and those maps, and
            returns what is asked for of its output.

    Returns:
        Scores in (0, 1) for each replica, in the order of its videos; of every segment, video after video, where that
        is what is asked for.
    """
    was_training = network.training
    network.eval()
    found, batches = list[Tensor](), list[NDArray[np.int64]]()
    for steps, places in _batches(videos, bank.lengths_of_videos, alone=noise is not None):
        batch = np.stack(
            [np.where(at < 0, ABSENT, mine[at]) if len(mine) else at for at, mine in zip(places, videos, strict=True)]
        )
        x, lengths_RB = bank.clips(*_on_device(batch, bank.device), steps)
        drawn = None if noise is None else noise(batch[:, 0])
        maps = {} if given is None else given(batch, steps)
        if forward is not None and drawn is None:
            values = forward(x, lengths_RB, maps)
        else:
            output = network(x, Segments(steps, lengths_RB), drawn, **({"given": maps} if maps else {}))
            values = said(output)
        found.append(values.double().flatten())
        batches.append(places)
    network.train(was_training)

    def scores(arrived: list[Tensor]) -> list[NDArray[np.float64]]:
        by_batch = [values.numpy().reshape(*at.shape, -1) for values, at in zip(arrived, batches, strict=True)]
        return [_in_order(row, mine, bank.lengths_of_videos, by_batch, batches) for row, mine in enumerate(videos)]

    return Pending([Transfer(values) for values in found], scores)


def _in_order(
    row: int,
    videos: NDArray[np.int64],
    lengths_V: NDArray[np.int64],
    by_batch: Sequence[NDArray[np.float64]],
    batches: Sequence[NDArray[np.int64]],
) -> NDArray[np.float64]:
    """Returns what is predicted of a replica's videos in their order, one number each or one for each segment.

    Args:
        row: The replica.
        videos: Indices of its videos.
        lengths_V: Segments of every video.
        by_batch: Predictions of each batch, (R, B, 1) of videos or (R, B, T) of segments.
        batches: Place of each in the list of its replica's videos, (R, B); -1 for none.
    """
    found: list[NDArray[np.float64]] = [np.zeros(0)] * len(videos)
    for values_RBT, places_RB in zip(by_batch, batches, strict=True):
        for values_T, place in zip(values_RBT[row], places_RB[row], strict=True):
            if place >= 0:
                found[place] = values_T[: lengths_V[videos[place]]]
    return np.concatenate(found) if found else np.zeros(0)


def _batches(
    videos: Sequence[NDArray[np.int64]], lengths_V: NDArray[np.int64], *, alone: bool
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yields batches of videos of similar lengths, the longest first.

    Args:
        videos: Indices of the videos of each replica.
        lengths_V: Segments of every video.
        alone: Whether every video gets a batch of its own.

    Yields:
        The segments that a batch is padded to, and for each replica the places of its videos in its list, -1 for none.
    """
    orders = [np.argsort(-lengths_V[mine], kind="stable") for mine in videos]
    first, most = 0, max((len(mine) for mine in videos), default=0)
    while first < most:
        longest = max(int(lengths_V[m[o[first]]]) for m, o in zip(videos, orders, strict=True) if first < len(m))
        room = 1 if alone else max(1, min(most - first, ROOM // (len(videos) * longest)))
        places = np.full((len(videos), room), -1, dtype=np.int64)
        for row, order in zip(places, orders, strict=True):
            some = order[first : first + room]
            row[: len(some)] = some
        yield longest, places
        first += room


def _on_device(videos_RB: NDArray[np.int64], device: torch.device) -> tuple[Tensor, Tensor]:
    """Returns the videos, and zeros: whole videos begin at their first segment."""
    here = torch.from_numpy(videos_RB).to(device, non_blocking=True)
    return here, torch.zeros_like(here)


def correlate(scores: Sequence[NDArray[np.float64]], replicas: Sequence[Replica]) -> tuple[list[float], list[bool]]:
    """Returns each replica's Spearman correlation on its held-out videos, and whether its scores are all one value."""
    pairs = [(mine, r.scores_V[r.valid]) for mine, r in zip(scores, replicas, strict=True)]
    return [spearman(mine, truth) for mine, truth in pairs], [is_constant(mine) for mine, _ in pairs]
