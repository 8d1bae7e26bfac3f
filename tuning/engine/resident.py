"""One trial as an engine holds it: advanced by one caller at a time, and let go at the next milestone if need be."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from typing import Any, Protocol

from tuning.engine.leash import LetGo
from tuning.engine.meter import Meter
from tuning.publishing import Publisher, Saved


class Advanced(Saved, Protocol):
    """A trial as a resident uses it; see `tuning.trial.Trial`."""

    def advance(self) -> dict[str, Any]:
        """Trains to the next rung."""
        ...

    def standing(self) -> dict[str, Any]:
        """Returns what there is to tell without training."""
        ...

    def close(self) -> None:
        """Gives back what its networks hold."""
        ...


class Resident:
    """A trial in an engine.

    Args:
        begin: Makes the trial, or takes it up where its newest checkpoint stands. It is given the event that is set
            once the trial is let go.
        meter: Counts its share of the device.
        publisher: Writes its checkpoints.
        shape: That of its networks.

    Attributes:
        token: Whose trial it is.
    """

    def __init__(
        self, begin: Callable[[threading.Event], Advanced], meter: Meter, publisher: Publisher, shape: str = ""
    ) -> None:
        self.token, self.shape = "", shape
        self._begin, self._meter, self._publisher = begin, meter, publisher
        self._released, self._turn = threading.Event(), threading.Lock()
        self._trial: Advanced | None = None

    @property
    def busy(self) -> bool:
        """Whether somebody advances it."""
        return self._turn.locked()

    def advance(self, token: str, told: int) -> dict[str, Any]:
        """Trains to the next rung, or for five minutes, writes the checkpoint, and returns the result.

        A caller that comes while another's call runs, or after a result that nobody heard, is told where the trial
        stands instead: no rung is passed before the one below it was reported.

        Args:
            token: Who calls.
            told: How many legs of the trial the caller knows of.

        Returns:
            The trial's result, and as ``passed`` how many legs lie behind it.

        Raises:
            LetGo: If the trial was let go, or another caller has taken it over.
        """
        try:
            with self._turn:
                self._check(token)
                result = self._advanced(told)
            self._check(token)
        finally:
            self._close_if_released()
        return result

    def release(self) -> None:
        """Lets the trial go: at once where nobody advances it, else at its next milestone."""
        self._released.set()
        self._close_if_released()

    def _advanced(self, told: int) -> dict[str, Any]:
        with self._meter.one_more():
            if self._trial is None:
                self._trial = self._begin(self._released)
            trial = self._trial
            result = trial.standing() if trial.passed > told else trial.advance()
            if not result["status_reason"]:
                self._publisher.publish(trial)
            return {**result, "passed": trial.passed}

    def _check(self, token: str) -> None:
        if self._released.is_set() or token != self.token:
            raise LetGo

    def _close_if_released(self) -> None:
        """Gives the rows back, unless a call runs, which does so at its end."""
        if self._released.is_set() and self._turn.acquire(blocking=False):
            try:
                trial, self._trial = self._trial, None
                if trial is not None:
                    trial.close()
                    self._publisher.close()
            finally:
                self._turn.release()


def one_line(error: BaseException) -> str:
    """Returns an exception as people are told of it: its type and message in one line."""
    return " ".join("".join(traceback.format_exception_only(error)).split())
