"""A trial as Ray Tune sees it where engines train: a process without torch that asks an engine for the next rung."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ray import tune
from ray.tune.execution.placement_groups import PlacementGroupFactory
from ray.tune.trainable.trainable import _TrainingResult

from tuning.engine.calls import EngineLost, Engines
from tuning.engine.status import DeviceStatus, shape_of

FAILURES = 3  # engines that a trial may lose in a row without coming to a rung in between
ANSWER = 3.0  # seconds for engines to say what room they have
PAUSE = 0.5  # seconds between two rounds of asking
NOBODY = 900.0  # seconds after which a trial gives up that no engine has answered
ALIKE = 2  # trials by which an engine may be busier that has others of a trial's shape
FAREWELL = 5.0  # seconds for an engine to hear that a trial lets go


def nothing() -> PlacementGroupFactory:
    """Returns what a trial takes of a node: a byte of its memory, since Ray grants no request for nothing at all."""
    return PlacementGroupFactory([{"memory": 1}])


class TrialFailed(RuntimeError):  # noqa: N818  # reads as what happened
    """A trial cannot go on. The last line of the message is what its engine raised, for people to read."""

    def __init__(self, line: str) -> None:
        super().__init__(f"the trial cannot go on\n{line}")


class EnginesLike(Protocol):
    """The engines as a trial uses them; see `tuning.engine.calls.Engines`."""

    @property
    def count(self) -> int:
        """How many there are."""
        ...

    def statuses(self, seconds: float) -> dict[int, DeviceStatus]:
        """Returns what each engine does that answers."""
        ...

    def advance(
        self, engine: int, trial_id: str, config: Mapping[str, Any], token: str, told: int
    ) -> Mapping[str, Any]:
        """Has an engine advance a trial."""
        ...

    def release(self, engine: int, trial_id: str, token: str | None, seconds: float) -> None:
        """Has an engine let a trial go."""
        ...


class Passenger:
    """A trial that is advanced by engines, and outlives them.

    Where it is, it stays as long as that engine lives and no other has nothing to do; otherwise it goes to the least
    busy one that has room. An engine that is lost costs what the trial has trained since its newest checkpoint, and
    none of Tune's retries. Where the node of its engine is going to be taken away, it leaves at the next rung.

    Args:
        engines: The engines.
        trial_id: The trial's id.
        config: Its values of the searched settings.
        sleep: Waits for some seconds.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        engines: EnginesLike,
        trial_id: str,
        config: Mapping[str, Any],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engines, self._trial_id, self._config = engines, trial_id, dict(config)
        self._sleep, self._clock = sleep, clock
        self._token, self._shape = uuid.uuid4().hex, shape_of(config)
        self._at: int | None = None
        self._told, self._losses = 0, 0

    def advance(self) -> dict[str, Any]:
        """Returns the trial's next result.

        Raises:
            TrialFailed: If the trial raised, or too many engines were lost with it, or there is none.
        """
        self._move_to_an_idle_engine()
        while True:
            self._at = self._chosen() if self._at is None else self._at
            try:
                result = dict(self._engines.advance(self._at, self._trial_id, self._config, self._token, self._told))
            except EngineLost as error:
                self._lost(str(error), counts=not error.taken_back)
                continue
            if "let_go" in result:  # by the driver, late, or because the trial has another process by now
                self._lost(f"engine {self._at} has let the trial go")
                continue
            if "error" in result:
                self._at = None
                raise TrialFailed(result["error"])
            self._told = result.pop("passed")
            if result["rung"] >= 0:
                self._losses = 0
            return result

    @property
    def engine(self) -> int | None:
        """The number of the engine that holds the trial; None where none does."""
        return self._at

    def let_go(self) -> None:
        """Gives back what the trial holds; whoever goes on with it begins at its newest checkpoint."""
        if self._at is not None:
            self._engines.release(self._at, self._trial_id, self._token, FAREWELL)
        self._at = None

    def _move_to_an_idle_engine(self) -> None:
        """Lets go of an engine with other trials where another engine has none, to go on there from the checkpoint.

        Of the trials of an engine only the last by name may go, so that one goes at a time.
        """
        if self._at is None or self._engines.count == 1:
            return
        found = self._engines.statuses(ANSWER)
        mine = found[self._at].trials if self._at in found else ()
        if self._at in found and found[self._at].leaving:
            if not all(status.leaving for status in found.values()):
                self.let_go()
        elif (
            len(mine) > 1
            and self._trial_id == max(mine)
            and any(not (status.trials or status.leaving) for status in found.values())
        ):
            self.let_go()

    def _lost(self, why: str, *, counts: bool = True) -> None:
        self._at = None
        self._losses += counts
        if self._losses > FAILURES:
            raise TrialFailed(f"{why}, {self._losses} times without a rung in between")

    def _chosen(self) -> int:
        """Returns the engine to go to: the one that holds the trial, or else, of those with room, the least busy."""
        until = self._clock() + NOBODY
        while not (found := self._engines.statuses(ANSWER)):
            if self._clock() > until:
                raise TrialFailed(f"no engine has answered for {NOBODY:g} s")
            self._sleep(PAUSE)
        return min(found, key=lambda engine: self._preference(engine, found[engine]))

    def _preference(self, engine: int, status: DeviceStatus) -> tuple[Any, ...]:
        """Returns what orders engines, the best first; trials that see the same spread over equal ones.

        Room comes late: an engine that trains has programs of several shapes, and speaks of the widest. A trial goes
        where others have networks of its shape, even if that engine has two trials more.
        """
        spread = hashlib.sha256(f"{self._trial_id}/{engine}".encode()).digest()
        absent = self._trial_id not in status.trials
        alike = self._shape in status.shapes
        trials = len(status.trials) - ALIKE * alike  # the trials of a study have equally many replicas
        return status.leaving, absent, status.rows_room == 0, trials, status.rows_waiting, -status.rows_room, spread


class ThinTrial(tune.Trainable):  # type: ignore[misc]  # Ray is untyped
    """A `Passenger` as Ray Tune runs it: one step is one rung. Tune keeps no checkpoint; engines do."""

    def setup(self, config: dict[str, Any], engines: Engines) -> None:
        """Takes the configuration; Tune calls it once a process."""
        self._engines = engines
        self._passenger = Passenger(engines, self.trial_id, config)

    def step(self) -> dict[str, Any]:
        """Returns the next result and whose it is; whether the trial is done is the search's to say."""
        result = self._passenger.advance()
        return {**result, "engine": self._passenger.engine, "done": False}

    def save(self, checkpoint_dir: str | None = None) -> _TrainingResult:
        """Lets go of a trial that is to wait; its checkpoint is on the storage."""
        self._passenger.let_go()
        return _TrainingResult(checkpoint=None, metrics={})

    def restore(self, checkpoint_path: Any) -> None:
        """Leaves it to the engine to find the newest checkpoint."""

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Turns the process over to another trial."""
        self._passenger.let_go()
        self._passenger = Passenger(self._engines, self.trial_id, new_config)
        return True

    def cleanup(self) -> None:
        """Lets go of a trial that has ended."""
        self._passenger.let_go()
