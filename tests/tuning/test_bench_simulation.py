from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from tuning.bench.simulation import Answer, Assignment, simulate
from tuning.bench.surrogate import Curve


class Scripted:
    """Hands out trials in a given order (None: nothing now), and answers as told; whatever is not told goes on."""

    def __init__(
        self, work: Sequence[Assignment | None], answers: Mapping[tuple[str, int], Answer] | None = None
    ) -> None:
        self.work, self.answers = list(work), dict(answers or {})
        self.log: list[tuple[str, int]] = []

    def ask(self) -> Assignment | None:
        return self.work.pop(0) if self.work else None

    def report(self, trial: str, epoch: int, accuracy: float) -> Answer:
        self.log.append((trial, epoch))
        return self.answers.get((trial, epoch), "goes on")


def trial(name: str, cost: float, *accuracies: float) -> Assignment:
    """Returns a trial whose epochs all take ``cost`` seconds."""
    return Assignment(name, {"cost": cost, "accuracies": accuracies})


def curve(config: Mapping[str, Any]) -> Curve:
    accuracy_E = np.array(config["accuracies"], float)
    return Curve(accuracy_E, config["cost"] * np.arange(1.0, len(accuracy_E) + 1))


def test_two_workers_train_three_trials_in_the_order_in_which_epochs_end() -> None:
    method = Scripted([trial("a", 1, 10, 20), trial("b", 3, 30, 40), trial("c", 1, 5, 50)])
    run = simulate(method, curve, workers=2, limit=5)
    assert method.log == [("a", 1), ("a", 2), ("b", 1), ("c", 1), ("c", 2)]  # b's second epoch would end at 6
    assert (run.trials, run.epochs) == (3, 5)
    assert run.times == (1, 2, 3, 4)
    assert run.accuracies == (10, 20, 30, 50)


def test_a_trial_that_ends_frees_its_worker_at_once() -> None:
    method = Scripted([trial("a", 1, 10, 90), trial("b", 2, 20, 30)], {("a", 1): "ends"})
    simulate(method, curve, workers=1, limit=100)
    assert method.log == [("a", 1), ("b", 1), ("b", 2)]


def test_a_trial_that_waited_pays_only_for_its_further_epochs() -> None:
    again = trial("a", 4, 10, 90)
    method = Scripted([again, trial("b", 1, 20), again], {("a", 1): "waits"})
    run = simulate(method, curve, workers=1, limit=100)
    assert method.log == [("a", 1), ("b", 1), ("a", 2)]
    assert run.times == (4, 5, 9)
    assert run.trials == 2


def test_a_worker_without_work_asks_again_after_the_next_report() -> None:
    method = Scripted([trial("a", 1, 10, 20), None, trial("b", 1, 30)])
    run = simulate(method, curve, workers=2, limit=100)
    assert method.log == [("a", 1), ("a", 2), ("b", 1)]
    assert run.times == (1, 2, 2)


def test_an_epoch_that_ends_with_the_time_counts_and_a_later_one_does_not() -> None:
    assert simulate(Scripted([trial("a", 1, 1, 2, 3)]), curve, workers=1, limit=2).accuracies == (1, 2)
    assert simulate(Scripted([trial("a", 1, 1, 2, 3)]), curve, workers=1, limit=1.99).accuracies == (1,)


def test_nothing_to_do_is_the_end() -> None:
    run = simulate(Scripted([]), curve, workers=3, limit=10)
    assert (run.times, run.accuracies, run.trials, run.epochs) == ((), (), 0, 0)


def test_of_two_epochs_that_end_at_once_the_one_begun_first_is_reported_first() -> None:
    method = Scripted([trial("a", 2, 1), trial("b", 1, 1, 1)])
    simulate(method, curve, workers=2, limit=10)
    assert method.log == [("b", 1), ("a", 1), ("b", 2)]


def test_the_incumbent_is_the_best_epoch_so_far_though_it_fell_afterwards() -> None:
    run = simulate(Scripted([trial("a", 1, 10, 50, 20)]), curve, workers=1, limit=10)
    assert run.incumbent(np.array([0.5, 1.0, 1.5, 2.0, 3.0]), before=3.0) == pytest.approx([3, 10, 10, 50, 50])
