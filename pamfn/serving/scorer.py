"""Scores of videos by saved networks, as the final stage of a study computed them, and how they came about."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pamfn.data.bank import Bank
from pamfn.model.output import Output
from pamfn.phases.objective import objective_of
from pamfn.phases.saved import SavedNetworks
from pamfn.phases.scoring import Said, predict
from pamfn.serving.tasks import NetworksOfTask


@dataclass(frozen=True, eq=False)
class Seen:
    """What one network makes of one video.

    Args:
        decisions: PolicyNet's decision of each stage that makes any, 1 to K, (steps,).
        attention: MSFD's weights of each stage that has any, (M, steps), the mean over heads.
        highlights: Each segment's chance to be a highlight; empty where videos are scored as a whole.
    """

    decisions: list[NDArray[np.int64]] = field(default_factory=list)
    attention: list[NDArray[np.float64]] = field(default_factory=list)
    highlights: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))


class Scorer:
    """Saved networks, ready to score.

    The networks of all classes that are asked for are one stacked network, as they were when the final stage scored
    the test split: equal questions get bitwise equal answers. The stacks used last are kept, one for each task and one
    for all of them together at most.

    Args:
        networks: The networks.
        tasks: What they score.
        device: Where to compute.
    """

    def __init__(
        self, networks: SavedNetworks, tasks: Sequence[NetworksOfTask], device: torch.device | str = "cpu"
    ) -> None:
        self.networks, self.tasks, self.device = networks, list(tasks), torch.device(device)
        self._stacks: OrderedDict[tuple[int, ...], nn.Module] = OrderedDict()

    def scores(self, bank: Bank, videos: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[np.float64]]:
        """Returns scores in the annotators' unit by task, (networks of the task, videos of the task).

        Args:
            bank: The features, of all streams that the networks read.
            videos: Indices of the videos of each task; tasks may be left out.
        """
        targets = self.networks.targets
        found = self._predicted(bank, videos, _scores)
        return {task: np.stack([targets[i].decode(mine) for i, mine in each]) for task, each in found.items()}

    def chances(self, bank: Bank, videos: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[np.float64]]:
        """Returns each segment's chance to be a highlight by task, (networks of the task, segments of its videos).

        Args:
            bank: As for `scores`; the networks classify segments.
            videos: As for `scores`.
        """
        found = self._predicted(bank, videos, objective_of(self.networks.recipe).said)
        return {task: np.stack([mine for _, mine in each]) for task, each in found.items()}

    def _predicted(
        self, bank: Bank, videos: Mapping[str, NDArray[np.int64]], said: Said
    ) -> dict[str, list[tuple[int, NDArray[np.float64]]]]:
        """Returns what the networks of each task say of its videos, with their indices."""
        asked = [task for task in self.tasks if len(videos.get(task.task, ()))]
        rows = sorted((index, task.task) for task in asked for index in task.networks)
        if not rows:
            return {}
        network, read = self._stack(tuple(index for index, _ in rows)), bank.only(*self.networks.widths)
        found = predict(network, read, [videos[task] for _, task in rows], said=said)
        by_index = {index: mine for (index, _), mine in zip(rows, found, strict=True)}
        return {task.task: [(index, by_index[index]) for index in task.networks] for task in asked}

    def seen(self, bank: Bank, task: str, video: int) -> list[Seen]:
        """Returns what each network of a task makes of a video; decisions are the arg max, without Gumbel noise."""
        indices = next(of.networks for of in self.tasks if of.task == task)
        said: list[Output] = []

        def noted(output: Output) -> Tensor:
            said.append(output)
            return _scores(output)

        videos = [np.array([video], dtype=np.int64)] * len(indices)
        predict(self._stack(indices), bank.only(*self.networks.widths), videos, said=noted)
        return [_seen(said[0], row) for row in range(len(indices))]

    def _stack(self, indices: tuple[int, ...]) -> nn.Module:
        """Returns some of the networks as one."""
        if indices not in self._stacks:
            saved = self.networks
            mine = replace(
                saved,
                names=[saved.names[i] for i in indices],
                targets=[saved.targets[i] for i in indices],
                states=[saved.states[i] for i in indices],
            )
            self._stacks[indices] = mine.network(self.device)
            if len(self._stacks) > len(self.tasks) + 1:
                self._stacks.popitem(last=False)
        self._stacks.move_to_end(indices)
        return self._stacks[indices]


def _scores(output: Output) -> Tensor:
    return output.score_RB


def _seen(output: Output, row: int) -> Seen:
    """Returns what the network of a row says of the one video of a batch."""
    chances = np.zeros(0)
    if output.logits_RBT is not None:
        chances = torch.sigmoid(output.logits_RBT[row, 0].double()).cpu().numpy()
    return Seen(
        decisions=[decided[row, 0].cpu().numpy() for decided in output.decisions],
        attention=[weights[row].mean(0)[:, 0].double().cpu().numpy() for weights in output.attention],
        highlights=chances,
    )
