"""A measured step: how fast this machine trains and scores networks of a study's shapes, on random features."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pamfn.data.bank import Bank
from pamfn.data.rules import counted
from pamfn.model.network import build_branch
from pamfn.phases.branches import branch_training
from pamfn.phases.fusion import fusion_training
from pamfn.phases.memory import network_bytes, step_bytes
from pamfn.phases.replica import Replica
from pamfn.phases.training import Training
from pamfn.recipe import Recipe
from pamfn.replicas.cut import cut, initialise
from tuning.forecast.machine import free_bytes
from tuning.forecast.work import Networks, lasting, step_flops

PATIENCE = 20.0  # seconds for all measurements
REPEATED, REPEATS = 1.5, 5  # a step is repeated for so many seconds, and so often, at most
SLOWEST = {"cpu": 2e10, "cuda": 2e12}  # FLOPs a second; what is supposed before anything is measured
MEMORY_SHARE = 0.5  # of what is free


@dataclass(frozen=True)
class Pace:
    """How fast a machine trains.

    Args:
        points: FLOPs of a batched phase-2 step (all networks in it) and the seconds it took; ascending FLOPs.
        first: FLOPs of one network's step of the first configuration, as measured.
        videos: Videos of a batch in it: fewer than the recipe's where those would take too long.
        together: Networks side by side at most.
        scoring: Seconds of scoring one held-out video with one network, as a share of the step of the same network.
        branch: Seconds of a phase-1 step, as a share of the phase-2 step of as many networks.
        where: The device and its threads, in words.
        took: Seconds that measuring took.
        share: Share of a processor that it had; well below 1 where other work keeps the machine busy.
    """

    points: tuple[tuple[float, float], ...]
    first: int
    videos: int
    together: int
    scoring: float
    branch: float
    where: str
    took: float
    share: float

    def step(self, flops: float) -> float:
        """Returns the seconds of a batched step: between what was measured linearly, beyond it in proportion."""
        known, seconds = zip(*self.points, strict=True)
        if flops > known[-1]:
            return float(seconds[-1] * flops / known[-1])
        return float(np.interp(flops, known, seconds))


class NotMeasured(RuntimeError):  # noqa: N818  # reads as what it is
    """No step could be measured; the message says why."""


def measure(
    first: Recipe,
    costliest: Recipe,
    networks: Networks,
    *,
    device: torch.device,
    threads: int,
    patience: float = PATIENCE,
) -> Pace:
    """Returns how fast this machine trains the first configuration of a study, and its costliest one.

    One network is measured, then as many side by side as train as one program, then the costliest configuration; each
    only if it can be expected to be done in time.

    Args:
        first: The first trial's recipe.
        costliest: The one with the most FLOPs a step.
        networks: The networks of a trial.
        device: What a trial trains on.
        threads: Threads of its process.
        patience: Seconds for all of it.

    Raises:
        NotMeasured: If not even a small batch of one network fits the memory or the time.
    """
    with _threads(threads):
        return _Measuring(networks, device, time.perf_counter() + patience).pace(first, costliest, threads)


class _Measuring:
    """One measurement: it ends at a deadline."""

    def __init__(self, networks: Networks, device: torch.device, deadline: float) -> None:
        self._networks, self._device, self._deadline = networks, device, deadline
        self._begin, self._used = time.perf_counter(), time.process_time()
        self._speed = SLOWEST[device.type]
        self._points: dict[float, float] = {}

    def pace(self, first: Recipe, costliest: Recipe, threads: int) -> Pace:
        small = self._affordable(first)
        bank, mine = self._bank_of(small)
        training = self._phase2(small, bank, mine, 1)
        step = self._timed(training, small, 1)
        together = len(self._networks.chunks(first, self._device)[0])
        if together > 1 and self._may(small, together):
            training = self._phase2(small, bank, mine, together)
            step = self._timed(training, small, together)
        else:
            together = 1
        scoring = _seconds(training.predict) / (together * len(mine.valid)) / (step / together)
        del training
        branch = self._branch_seconds(small, bank, mine, together) / step if small.phases == "two" else 0.0
        if costliest.batch_size == small.batch_size and costliest != first and self._may(costliest, together):
            bank, mine = self._bank_of(costliest)
            self._timed(self._phase2(costliest, bank, mine, together), costliest, together)
        took = time.perf_counter() - self._begin
        share = (time.process_time() - self._used) / took if self._device.type == "cpu" else 1.0
        points, flops = tuple(sorted(self._points.items())), step_flops(small, self._networks.widths)
        where = _where(self._device, threads)
        return Pace(points, flops, small.batch_size, together, scoring, branch, where, took, share)

    def _affordable(self, recipe: Recipe) -> Recipe:
        """Returns the recipe with a batch so small that one step of one network fits the time and the memory."""
        while True:
            if self._may(recipe, 1):
                return recipe
            if recipe.batch_size == 2:
                flops, needed = step_flops(recipe, self._networks.widths), self._bytes(recipe, 1)
                why = f"one step of two videos is {flops / 1e9:,.0f} GFLOP and takes {needed / 1e9:.1f} GB"
                raise NotMeasured(f"{why}; the machine has {free_bytes(self._device) / 1e9:.1f} GB free")
            recipe = replace(recipe, batch_size=max(2, recipe.batch_size // 4))

    def _may(self, recipe: Recipe, together: int) -> bool:
        """Tells whether two steps of so many networks fit the time that is left, and the memory."""
        seconds = 2 * together * step_flops(recipe, self._networks.widths) / self._speed
        fits = self._bytes(recipe, together) <= MEMORY_SHARE * free_bytes(self._device)
        return fits and time.perf_counter() + seconds < self._deadline

    def _bytes(self, recipe: Recipe, together: int) -> int:
        widths = self._networks.widths
        return together * (step_bytes(recipe, widths, self._device.type) + 2 * network_bytes(recipe, widths))

    def _timed(self, training: Training, recipe: Recipe, together: int) -> float:
        """Returns the median of a few steps after a first one, which warms up."""
        flops, seconds = together * step_flops(recipe, self._networks.widths), list[float]()
        _one_step(training)
        while not seconds or (len(seconds) < REPEATS and sum(seconds) < REPEATED):
            seconds.append(_seconds(lambda: _one_step(training)))
        step = float(np.median(seconds))
        self._points[flops] = step
        self._speed = flops / step
        return step

    def _phase2(self, recipe: Recipe, bank: Bank, mine: Replica, together: int) -> Training:
        """Returns a phase-2 training on branches of fresh weights: time does not ask how good they are."""
        states: dict[str, list[dict[str, Tensor]]] = {}
        for name in recipe.streams(tuple(bank.widths)):
            width = bank.widths[name]
            branch = build_branch(recipe, name, width, 1)
            initialise(branch, [1])
            states[name] = [cut(branch, 0)] * together
        return fusion_training(
            lasting(recipe), _side_by_side(mine, together), bank, states if recipe.phases == "two" else None
        )

    def _branch_seconds(self, recipe: Recipe, bank: Bank, mine: Replica, together: int) -> float:
        """Returns the seconds of a phase-1 step of the widest modality."""
        widest = max(bank.widths, key=lambda name: bank.widths[name])
        training = branch_training(lasting(recipe), widest, _side_by_side(mine, together), bank)
        return min(_seconds(lambda: _one_step(training)) for _ in range(2))

    def _bank_of(self, recipe: Recipe) -> tuple[Bank, Replica]:
        """Returns random features of as many videos as a batch and a held-out fold have, and a network's share."""
        of = max(self._networks.replicas, key=lambda r: len(r.train))
        train, valid = of.train[: recipe.batch_size], of.valid[: 2 * recipe.batch_size]
        lengths = self._networks.contents.lengths[np.concatenate([train, valid])]
        rng = np.random.default_rng(0)
        rows = {
            name: torch.from_numpy(rng.standard_normal((int(lengths.sum()) + 1, width), dtype=np.float32))
            for name, width in self._networks.widths.items()
        }
        offsets = torch.from_numpy(np.cumsum(lengths) - lengths).to(self._device)
        matches = torch.from_numpy(rng.choice([-1.0, 1.0], int(lengths.sum()) + 1).astype(np.float32)).to(self._device)
        on_device = {n: x.to(self._device) for n, x in rows.items()}
        bank = Bank(on_device, offsets, torch.from_numpy(lengths).to(self._device), matches)
        videos, scores = np.arange(len(lengths)), rng.uniform(size=len(lengths))
        return bank, Replica("", of.task, 0, 1, videos[: len(train)], videos[len(train) :], scores, 1.0)


def _side_by_side(mine: Replica, together: int) -> list[Replica]:
    return [replace(mine, seed=seed) for seed in range(together)]


def _one_step(training: Training) -> None:
    """Takes one step: with one batch of videos, an epoch is a step."""
    list(training.run([(training.epochs[0] + 1) / training.plans[0].epochs], score=False))


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


@contextmanager
def _threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _where(device: torch.device, threads: int) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {counted(threads, 'thread')}"
