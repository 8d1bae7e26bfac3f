"""A whole epoch, input and scoring included, beside the way the released code does it.

python benchmarks/epoch_released.py --widths 64 --folds 1,5 --workers 0,2 --size rg --json epoch.json

As released: each fold's network in turn; a DataLoader that crops and zero-pads each item with NumPy and collates the
batch; then every held-out video whole, alone in its batch, and Spearman's correlation, every epoch. Ours: all folds
together, features in memory, held-out videos in padded batches. Both train the paper's network, ours as in a study and
theirs as in ``benchmarks/plain_pamfn.py``, so that what differs is the way, not the network. Folds are of five. Times
are of one epoch of one fold; ``scoring`` is the part of it that scores.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from measuring import Table, add_options, interleaved, numbers, prepare, ratio
from numpy.typing import NDArray
from plain_pamfn import PlainPAMFN
from plain_training import optimiser, train_step
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from workload import CLIPS, Epochs, Workload

from pamfn.data.planted_sizes import SIZES
from pamfn.metrics import spearman

FOLDS = 5
COLUMNS = ("size", "width", "folds", "workers", "released_s", "ours_s", "ratio", "released_scoring_s", "ours_scoring_s")
Item = tuple[dict[str, NDArray[np.float32]], np.float32]


class Videos(Dataset[Item]):
    """Videos one by one: a random crop of each, zero-padded to its length, or the whole.

    Args:
        work: Where they come from.
        chosen: Indices of the videos.
        clip: Segments of a crop; None for whole videos.
    """

    def __init__(self, work: Workload, chosen: NDArray[np.int64], clip: int | None) -> None:
        self._work, self._chosen, self._clip = work, chosen, clip

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index: int) -> Item:
        """Returns features by modality and score / C."""
        video = int(self._chosen[index])
        features = self._work.videos[video]
        if self._clip is not None:
            features = self._cropped(features, self._clip)
        return features, np.float32(self._work.scores_V[video] / self._work.largest)

    def _cropped(self, features: dict[str, NDArray[np.float32]], clip: int) -> dict[str, NDArray[np.float32]]:
        spare = len(features["rgb"]) - clip
        start = int(torch.randint(spare + 1, ())) if spare > 0 else 0
        crops = {}
        for name, x_TD in features.items():
            crops[name] = np.zeros((clip, x_TD.shape[1]), dtype=np.float32)
            part = x_TD[start : start + clip]
            crops[name][: len(part)] = part
        return crops


class Released:
    """One fold's network, trained and tested as the released code does.

    Args:
        work: The videos and the settings.
        train: Indices of the training videos.
        valid: Indices of the held-out videos.
        workers: Worker processes of each DataLoader.
        device: Where the network is.
    """

    def __init__(
        self, work: Workload, train: NDArray[np.int64], valid: NDArray[np.int64], *, workers: int, device: str
    ) -> None:
        self._device = device
        self._network = PlainPAMFN(work.settings, work.widths).to(device)
        self._optimizer = optimiser(dict(self._network.named_parameters()), work.settings)
        crops, whole = Videos(work, train, work.settings.clip), Videos(work, valid, None)
        self._crops = DataLoader(crops, batch_size=work.settings.batch_size, shuffle=True, num_workers=workers)
        self._whole = DataLoader(whole, batch_size=1, num_workers=workers)

    def epoch(self) -> float:
        """Trains an epoch, then tests; returns the correlation on the held-out videos."""
        self._network.train()
        for x, targets in self._crops:
            train_step(self._network, self._optimizer, self._moved(x), targets.to(self._device))
        return self.test()

    @torch.no_grad()
    def test(self) -> float:
        """Returns the correlation on the held-out videos, scored one at a time."""
        self._network.eval()
        told = [(float(self._network(self._moved(x))), float(target)) for x, target in self._whole]
        scores, targets = np.array(told).T
        return spearman(scores, targets)

    def _moved(self, x: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: of.to(self._device) for name, of in x.items()}


def parts_of(count: int, folds: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Returns the training and held-out videos of the first ``folds`` of five folds."""
    fold_of = np.arange(count) % FOLDS
    return [(np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)) for fold in range(folds)]


def measure(size: str, width: int, folds: int, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Returns a row for each number of workers, all of one interleaved run; times are of one fold's epoch."""
    device = arguments.device
    work = Workload.of(size, arguments.videos or SIZES[size].train, width=width, batch_size=arguments.batch_size)
    parts = parts_of(len(work.videos), folds)
    training = work.training(work.bank(device), parts)
    released = {
        workers: [Released(work, *part, workers=workers, device=device) for part in parts]
        for workers in arguments.workers
    }
    epochs: dict[str, Callable[[], object]] = {"ours": Epochs(training, score=True).epoch}
    scorings: dict[str, Callable[[], object]] = {"ours": training.predict}
    for workers, networks in released.items():
        epochs[f"{workers}"] = partial(_each, [network.epoch for network in networks])
        scorings[f"{workers}"] = partial(_each, [network.test for network in networks])
    whole = interleaved(epochs, repeats=arguments.repeats, warmup=1, device=device)
    scoring = interleaved(scorings, repeats=arguments.repeats, warmup=0, device=device)
    return [
        {
            "size": size,
            "width": width,
            "folds": folds,
            "workers": workers,
            "released_s": statistics.median(whole[f"{workers}"]) / folds,
            "ours_s": statistics.median(whole["ours"]) / folds,
            "ratio": ratio(whole[f"{workers}"], whole["ours"]),
            "released_scoring_s": statistics.median(scoring[f"{workers}"]) / folds,
            "ours_scoring_s": statistics.median(scoring["ours"]) / folds,
        }
        for workers in arguments.workers
    ]


def _each(calls: Sequence[Callable[[], object]]) -> None:
    for call in calls:
        call()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="A whole epoch beside the way the released code does it.")
    parser.add_argument("--widths", type=numbers, default=[64], metavar="D,D")
    parser.add_argument("--folds", type=numbers, default=[1, FOLDS], metavar="R,R", help="of five")
    parser.add_argument("--workers", type=numbers, default=[0, 2], metavar="W,W", help="of a DataLoader")
    parser.add_argument("--size", choices=tuple(CLIPS), default="rg")
    parser.add_argument("--videos", type=int, metavar="V", help="of all folds; as many as the size has if left out")
    add_options(parser, repeats=3)
    arguments = parser.parse_args(argv)
    if max(arguments.folds) > FOLDS:
        parser.error(f"--folds: {max(arguments.folds)} is above {FOLDS}")
    table = Table(COLUMNS, arguments.json, prepare(arguments))
    for width in arguments.widths:
        for folds in arguments.folds:
            for row in measure(arguments.size, width, folds, arguments):
                table.add(row)


if __name__ == "__main__":
    main()
