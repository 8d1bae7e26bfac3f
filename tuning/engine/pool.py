"""The driver's side of the engines: started for a study, watched while it runs, gone with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import ray

from tuning.cluster import NoEngine
from tuning.engine.actor import Engine
from tuning.engine.calls import Engines
from tuning.engine.loading import Delivery
from tuning.engine.residence import DeviceLike, Setting
from tuning.engine.status import DeviceStatus, Pace
from tuning.engine.watch import Watched
from tuning.study import Study

ASK_EVERY = 2.0  # seconds between two questions to an engine
TELL_EVERY = 10.0  # seconds between two words on the engines
PATIENCE = 300.0
SPARE = 8  # calls beyond one a trial that an engine takes at once: those that nobody waits for any more


class DeviceListener(Protocol):
    """Told what the devices do, every few seconds."""

    def devices_started(self, numerics: Mapping[str, str]) -> None:
        """Takes in what the numbers of an engine depend on, such as the precision of its matrix products."""
        ...

    def devices_worked(self, paces: Sequence[Pace]) -> None:
        """Takes in what each engine does that has answered of late."""
        ...


@dataclass(frozen=True)
class Wanted:
    """What engines there are to be.

    Args:
        count: How many; Ray starts those that fit now, and the others when the cluster has grown.
        cpu: Processors each.
        gpu: GPUs each.
        trials: Trials that may be on one at once.
        patience: Seconds after which one that does nothing is stuck.
        make: Makes the device in the engine's process.
    """

    count: int
    cpu: float
    gpu: float
    trials: int
    make: Callable[..., DeviceLike]
    patience: float = PATIENCE


class EnginePool:
    """The engines of a study, inside a ``with`` block.

    They are owned by this process and end with it, however that ends. One that dies is started again by Ray, with the
    same data; one that is stuck is killed for that. What is to be told waits until `tell` is called, in whatever thread
    may write.

    Args:
        study: The study.
        launch: Number of the launch.
        wanted: What engines there are to be.
        note: Tells people a line.
        listeners: Who is told what the devices do.
    """

    def __init__(
        self,
        study: Study,
        launch: int,
        wanted: Wanted,
        note: Callable[[str], None],
        listeners: Sequence[DeviceListener] = (),
    ) -> None:
        self._study, self._launch, self._wanted = study, launch, wanted
        self._note, self._listeners = note, tuple(listeners)
        self._handles: list[Any] = []
        self._watched: list[Watched] = []
        self._delivery: Delivery | None = None
        self._lines: list[str] = []
        self._numerics: dict[str, str] | None = None
        self._lock, self._left = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None
        self._told = 0.0

    def __enter__(self) -> Self:
        """Starts the engines, and does not wait for them: trials start meanwhile."""
        self._start()
        self._thread = threading.Thread(target=self._watch, name="engine-watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the engines; what they have not written to the storage is lost."""
        self._left.set()
        if self._thread is not None:
            self._thread.join()
        self._end()

    @property
    def engines(self) -> Engines:
        """The engines, for the trials' processes."""
        return Engines(self._handles)

    def tell(self) -> None:
        """Tells what there is to tell, at most every few seconds.

        Raises:
            NoEngine: If the data cannot be read, or no engine can start with them.
        """
        with self._lock:
            lines, self._lines = self._lines, []
            delivery, numerics = self._delivery, self._numerics
            due = time.monotonic() - self._told >= TELL_EVERY
            paces = [pace for watched in self._watched if (pace := watched.pace())] if due else []
        for line in lines:
            self._note(line)
        if delivery is not None and delivery.hopeless:
            raise NoEngine(f"no engine can start: {delivery.failed[max(delivery.failed)]}")
        if delivery is not None and numerics is None and delivery.numerics is not None:
            self._numerics = delivery.numerics
            for listener in self._listeners:
                listener.devices_started(delivery.numerics)
        if paces:
            self._told = time.monotonic()
            for listener in self._listeners:
                listener.devices_worked(paces)

    def trial_started(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """Nothing to do: the trial goes to an engine by itself."""

    def trial_reported(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Nothing to do: it has reported what an engine returned."""

    def trial_waits(self, trial_id: str, rung: int) -> None:
        """Nothing to do: its process lets go of it."""

    def trial_retried(self, trial_id: str, error: str) -> None:
        """Nothing to do: the trial goes to an engine by itself."""

    def trial_ended(self, trial_id: str, reason: str) -> None:
        """Has the engines let go of a trial, which may have had no process left to do so."""
        for handle in self._handles:
            handle.release.remote(trial_id, None)

    def _start(self) -> None:
        wanted, study = self._wanted, self._study
        groups = {"advance": wanted.trials + SPARE, "status": 2}
        actor = ray.remote(max_restarts=-1, max_task_retries=0, concurrency_groups=groups)(Engine)
        setting = Setting(study, self._launch, "cuda" if wanted.gpu else "cpu", max(1, int(wanted.cpu)), wanted.make)
        self._handles = [
            actor.options(
                name=f"{study.name}/{self._launch}/engine{number}", num_cpus=wanted.cpu, num_gpus=wanted.gpu
            ).remote(setting)
            for number in range(wanted.count)
        ]
        self._watched = [Watched(number, wanted.patience) for number in range(wanted.count)]
        self._delivery = Delivery(study, self._handles)
        self._told = time.monotonic()

    def _end(self) -> None:
        for handle in self._handles:
            ray.kill(handle, no_restart=True)
        self._delivery = None  # and with it the data

    def _watch(self) -> None:
        """Asks the engines what they do until the block is left."""
        asked: dict[Any, int] = {}
        while not self._left.wait(ASK_EVERY):
            missing = set(range(len(self._handles))) - set(asked.values())
            asked |= {self._handles[number].status.remote(): number for number in missing}
            answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=ASK_EVERY)
            for reference in answered:
                self._take_in(asked.pop(reference), reference)
            self._look()
            for watched in self._watched:
                if watched.stuck:
                    self._kill(watched)
                    asked = {reference: n for reference, n in asked.items() if n != watched.engine}

    def _take_in(self, engine: int, reference: Any) -> None:
        watched = self._watched[engine]
        try:
            status: DeviceStatus | None = ray.get(reference)
        except ray.exceptions.RayError:
            with self._lock:
                if watched.status is not None:
                    self._lines.append(f"engine {engine} was lost; it starts again, its trials from their checkpoints")
                watched.lost()
            return
        if status is None:
            if self._delivery is not None:
                self._delivery.bring(engine)
        else:
            with self._lock:
                watched.answered(status)

    def _look(self) -> None:
        """Takes in which engines have their data, or cannot take them."""
        if self._delivery is None:
            return
        with self._lock:
            before = dict(self._delivery.failed)
            self._delivery.look()
            new = {engine: why for engine, why in self._delivery.failed.items() if before.get(engine) != why}
            if not self._delivery.hopeless:
                self._lines += [f"engine {engine} cannot take the data: {why}" for engine, why in new.items()]

    def _kill(self, watched: Watched) -> None:
        ray.kill(self._handles[watched.engine], no_restart=False)
        with self._lock:
            why = f"has done nothing for {watched.patience:g} s; it starts again, its trials from their checkpoints"
            self._lines.append(f"engine {watched.engine} {why}")
            watched.lost()
