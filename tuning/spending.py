"""What a study has spent, over all its launches, and the end of a study whose budget is spent."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from ray import tune

from tuning.search import StudySearch


class BudgetStopper(tune.Stopper):  # type: ignore[misc]  # Ray is untyped
    """Ends a study when all its launches together have run for so long, or have trained for so long.

    What earlier launches spent is in the journal: each ran from its first event to its last.

    Args:
        search: The search; its journal tells of earlier launches.
        seconds: Limit of the wall-clock time; None for no limit.
        device_seconds: Limit of the time that trials trained, times the devices that one holds; None for no limit.
        devices: GPUs that a trial holds, or its processors where it holds no GPU.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        search: StudySearch,
        *,
        seconds: float | None,
        device_seconds: float | None,
        devices: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._search, self._seconds, self._device_seconds = search, seconds, device_seconds
        self._devices, self._clock = devices, clock
        self._before, self._began = seconds_of(search.journal.events), clock()

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Stops no single trial."""
        return False

    def stop_all(self) -> bool:
        """Tells whether the budget is spent; asked at every event."""
        return bool(self.spent)

    @property
    def spent(self) -> str:
        """Which budget is spent, for people; empty as long as none is."""
        if self._seconds is not None and self._before + self._clock() - self._began >= self._seconds:
            return f"budget.time, {timedelta(seconds=self._seconds)}, is spent"
        trained = self._search.trained_seconds * self._devices
        if self._device_seconds is not None and trained >= self._device_seconds:
            return f"budget.device_time, {timedelta(seconds=self._device_seconds)}, is spent"
        return ""

    def __reduce__(self) -> tuple[Any, ...]:
        """Tune writes its stopper into a snapshot that is never read."""
        return tune.stopper.NoopStopper, ()


def seconds_of(events: Sequence[Mapping[str, Any]]) -> float:
    """Returns how long all launches together have run, each from its first event to its last."""
    spent, before = 0.0, None
    for event in events:
        if before is not None and event["event"] != "launched":
            spent += max(0.0, float(event["time"]) - before)
        before = float(event["time"])
    return spent
