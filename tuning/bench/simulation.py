"""A cluster of workers on a clock of its own: trainings take the time of their curves, searching takes none.

A worker that is idle asks the search for work, trains one epoch after the other, and tells the search of each; the
answer says whether the trial goes on. A trial that waits keeps its epochs: continued, it pays for further ones only.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from tuning.bench.surrogate import Array, Curve

Answer = Literal["goes on", "ends", "waits"]


class Work(Protocol):
    """A trial to train: a new one, or one that waited."""

    @property
    def trial(self) -> str: ...  # noqa: D102

    @property
    def config(self) -> Mapping[str, Any]: ...  # noqa: D102


class Method(Protocol):
    """A search, ours or a peer's, as the workers see it."""

    def ask(self) -> Work | None:
        """Returns what to train next; None if there is nothing until another report has come."""

    def report(self, trial: str, epoch: int, accuracy: float) -> Answer:
        """Learns the accuracy in percent after an epoch; of the last epoch, too, after which a trial is over anyway."""


@dataclass(frozen=True)
class Assignment:
    """The plain form of ``Work``."""

    trial: str
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """What one search achieved.

    Args:
        times: When the incumbent improved, in seconds. The incumbent is the best accuracy of any epoch trained so far,
            whether or not the search asked to see that epoch.
        accuracies: What it improved to.
        trials: Trials begun.
        epochs: Epochs trained.
    """

    times: tuple[float, ...]
    accuracies: tuple[float, ...]
    trials: int
    epochs: int

    def incumbent(self, times: Array, before: float) -> Array:
        """Returns the best accuracy known at each of the given times; ``before`` where there was none yet."""
        known = np.array([before, *self.accuracies])
        return known[np.searchsorted(self.times, times, side="right")]


def simulate(method: Method, curve_of: Callable[[Mapping[str, Any]], Curve], *, workers: int, limit: float) -> Run:
    """Returns what a search achieves; an epoch that ends at the limit counts, one that ends later does not.

    Args:
        method: The search.
        curve_of: The training of a configuration.
        workers: Trials that run at once.
        limit: Seconds on the clock.
    """
    cluster = _Cluster(method, curve_of, workers)
    cluster.assign()
    while cluster.queue and cluster.queue[0][0] <= limit:
        cluster.advance()
        cluster.assign()
    return Run(tuple(cluster.times), tuple(cluster.accuracies), len(cluster.curves), cluster.epochs)


class _Cluster:
    def __init__(self, method: Method, curve_of: Callable[[Mapping[str, Any]], Curve], workers: int) -> None:
        self.method, self.curve_of, self.idle = method, curve_of, workers
        self.queue: list[tuple[float, int, str]] = []  # when an epoch ends; of two at once, the one begun first
        self.order = itertools.count()
        self.curves: dict[str, Curve] = {}
        self.trained: dict[str, int] = {}
        self.times: list[float] = []
        self.accuracies: list[float] = []
        self.clock, self.epochs = 0.0, 0

    def assign(self) -> None:
        """Gives work to every idle worker, as long as there is any."""
        while self.idle and (work := self.method.ask()) is not None:
            if work.trial not in self.curves:
                self.curves[work.trial], self.trained[work.trial] = self.curve_of(work.config), 0
            self.idle -= 1
            self.begin_epoch(work.trial)

    def begin_epoch(self, trial: str) -> None:
        seconds_E, done = self.curves[trial].seconds_E, self.trained[trial]
        cost = seconds_E[done] - (seconds_E[done - 1] if done else 0.0)
        heapq.heappush(self.queue, (self.clock + float(cost), next(self.order), trial))

    def advance(self) -> None:
        """Goes on to the next end of an epoch, and lets the search decide on that trial."""
        self.clock, _, trial = heapq.heappop(self.queue)
        self.trained[trial] += 1
        self.epochs += 1
        epoch, accuracy_E = self.trained[trial], self.curves[trial].accuracy_E
        accuracy = float(accuracy_E[epoch - 1])
        self.watch(accuracy)
        if self.method.report(trial, epoch, accuracy) == "goes on" and epoch < len(accuracy_E):
            self.begin_epoch(trial)
        else:
            self.idle += 1

    def watch(self, accuracy: float) -> None:
        if not self.accuracies or accuracy > self.accuracies[-1]:
            self.times.append(self.clock)
            self.accuracies.append(accuracy)
