"""Every method on every task with every seed, on as many processes as wanted; the results do not depend on how many."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tuning.bench.comparison import Result
from tuning.bench.methods import Variant
from tuning.bench.simulation import simulate
from tuning.bench.surrogate import EPOCHS, Reference, Surrogate

SHARES = tuple(share / 20 for share in range(1, 21))

Apply = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
Job = TypeVar("Job")


@dataclass(frozen=True)
class Plan:
    """What is to be run.

    Args:
        data: LCBench's folder.
        methods: The methods.
        tasks: The tasks.
        seeds: Seeds 0 and up.
        workers: Trials that run at once.
        budget: Full trainings, of the task's mean length, that all workers together have time for.
    """

    data: Path
    methods: Sequence[Variant]
    tasks: Sequence[str]
    seeds: int
    workers: int
    budget: float


@dataclass(frozen=True)
class Search:
    """One search of a plan: a method on a task with a seed."""

    plan: Plan
    method: Variant
    task: str
    seed: int
    reference: Reference


def run(plan: Plan, jobs: int, tell: Callable[[int, int], None]) -> dict[str, dict[str, list[Result]]]:
    """Returns the results by method, task and seed.

    Args:
        plan: What to run.
        jobs: Processes; 1 runs everything in this one.
        tell: Called after every search with how many are done, and of how many.
    """
    with _applied(jobs) as apply:
        references = apply(_reference, [(plan.data, task) for task in plan.tasks])
        scales = dict(zip(plan.tasks, references, strict=True))
        searches = [
            Search(plan, method, task, seed, scales[task])
            for method in plan.methods
            for task in plan.tasks
            for seed in range(plan.seeds)
        ]
        results: dict[str, dict[str, list[Result]]] = {}
        for done, (search, result) in enumerate(zip(searches, apply(_search, searches), strict=True), start=1):
            results.setdefault(str(search.method), {}).setdefault(search.task, []).append(result)
            tell(done, len(searches))
    return results


@contextmanager
def _applied(jobs: int) -> Iterator[Apply]:
    """Gives a ``map`` over processes, or over none. They are spawned: a fork would copy the threads' locks of Ray."""
    if jobs == 1:
        yield map
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool.map


def _reference(job: tuple[Path, str]) -> Reference:
    data, task = job
    return _surrogate(data).reference(task)


def _search(search: Search) -> Result:
    plan, scale, surrogate = search.plan, search.reference, _surrogate(search.plan.data)
    limit = plan.budget * scale.seconds / plan.workers
    method = search.method.build(surrogate.domains, seed=search.seed, workers=plan.workers, epochs=EPOCHS)
    done = simulate(method, lambda config: surrogate.curve(search.task, config), workers=plan.workers, limit=limit)
    incumbents = done.incumbent(limit * np.array(SHARES), scale.worst)
    return Result(tuple(scale.regret(float(accuracy)) for accuracy in incumbents), done.trials, done.epochs)


@lru_cache(maxsize=1)
def _surrogate(data: Path) -> Surrogate:
    return Surrogate(data)
