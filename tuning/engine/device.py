"""One device's loop: replicas of all trials as rows of batched programs, let in and out between steps.

A freed row is filled at once with a replica that waits, so the device never waits for a rung: continuous batching, for
training. Trials are threads that ask for their replicas to be advanced and sleep until that is done; the loop has a
thread of its own, and nobody else touches a program.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import torch

from pamfn.phases.cache import CacheFull
from pamfn.phases.memory import keep_freed_memory
from pamfn.phases.pending import Pending
from pamfn.phases.program import Program
from pamfn.phases.report import Report
from tuning.cohort import CohortMaker
from tuning.engine.mailbox import Mailbox
from tuning.engine.measured import Utilisation, device_name, memory_of
from tuning.engine.programs import Programs
from tuning.engine.rows import DeviceRows
from tuning.engine.status import DeviceStatus
from tuning.engine.tenants import Errand, State, Tenant
from tuning.precision import set_precision
from tuning.study_data import StudyData

_LOGGER = logging.getLogger(__name__)
GRACE = 0.002  # seconds in which a trial that was told of a milestone may ask for the next, before the device goes on


class Device:
    """All training on one device.

    Attributes:
        replicas: The replicas of a trial of the study.

    Args:
        data: The study's data; its bank's device is the device.
        slots: Rows of a program at most; by default what keeps the device busy and fits its memory.
        precision: Of matrix products on CUDA: ``tf32``, ``float32``, or ``bf16`` activations. CPUs know float32.
        fatal: Called when the loop has ended by itself, which none of its doings should bring about.
    """

    def __init__(
        self,
        data: StudyData,
        *,
        slots: int | None = None,
        precision: str = "tf32",
        fatal: Callable[[], object] = lambda: None,
    ) -> None:
        self.replicas, self._fatal = data.replicas, fatal
        self._where = data.bank.device
        set_precision(self._where, precision)
        keep_freed_memory()
        self._programs = Programs(self._where, slots, precision)
        self._waiting: deque[Errand] = deque()
        self._placing: list[Errand] = []
        self._running: list[Errand] = []
        self._reporting: list[tuple[Pending[Report], list[Errand]]] = []
        self._closed = False
        self._began, self._steps, self._replica_steps, self._busy_seconds = time.time(), 0, 0, 0.0
        self._utilisation = Utilisation(self._where, lambda: self._busy_seconds)
        self._thread = threading.Thread(target=self._loop, name="device", daemon=True)
        self._mailbox = Mailbox(self._thread.is_alive)
        self._thread.start()

    # --- What trials ask for, from threads of their own ---

    def cohorts(self) -> CohortMaker:
        """Returns what puts a trial's replicas into rows of the device's programs."""
        return DeviceRows(self)

    @property
    def is_gpu(self) -> bool:
        """Whether it is a GPU."""
        return self._where.type == "cuda"

    def train(self, tenants: Sequence[Tenant], progress: float, *, score: bool = True) -> list[Report]:
        """Advances replicas to a milestone, and returns the report of each.

        Args:
            tenants: The replicas; those without a row wait for one, in their order.
            progress: Share of their full budgets.
            score: Whether to score their held-out videos.

        Raises:
            MemoryError: If the device cannot hold even one of them.
            RuntimeError: If the program failed in which one of them rested, or the loop has ended.
        """
        for tenant in tenants:
            if tenant.lost:
                raise RuntimeError(f"{tenant.name}: {tenant.lost}")
        # A member is made here, in the trial's thread: the loop only copies it into its row.
        members = [None if t.seat is not None else t.member(t.state) for t in tenants]
        errands = [Errand(t, progress, score, member) for t, member in zip(tenants, members, strict=True)]
        self._mailbox.ask(lambda: self._waiting.extend(errands))
        return [errand.done.result() for errand in errands]

    def states(self, tenants: Sequence[Tenant]) -> list[State]:
        """Returns all that replicas need to go on, here or elsewhere."""
        return self._mailbox.ask(lambda: [tenant.standing() for tenant in tenants])

    def restore(self, tenant: Tenant, state: State) -> None:
        """Puts a replica where ``state`` found it."""

        def put() -> None:
            self._programs.leave(tenant, keep=False)
            tenant.state = state

        self._mailbox.ask(put)

    def release(self, tenants: Sequence[Tenant]) -> None:
        """Lets replicas go; what they hold is lost, and a train that waits for them is told so."""
        self._mailbox.ask(lambda: self._release(set(tenants)))

    def _release(self, gone: set[Tenant]) -> None:
        for errand in [e for e in self._errands() if e.tenant in gone]:
            errand.done.cancel()
        self._waiting = deque(e for e in self._waiting if e.tenant not in gone)
        self._running = [e for e in self._running if e.tenant not in gone]
        for tenant in gone:
            self._programs.leave(tenant, keep=False)

    def status(self) -> DeviceStatus:
        """Returns what the device does; never waits for a step."""
        used, total = memory_of(self._where)
        waiting = len(self._waiting)
        return DeviceStatus(
            rows_busy=len(self._errands()) - waiting,
            rows_waiting=waiting,
            rows_room=max(0, max(self._programs.rooms()) - waiting),
            programs=len(self.programs()),
            steps=self._steps,
            replica_steps=self._replica_steps,
            seconds_busy=self._busy_seconds,
            memory_bytes=used,
            memory_total=total,
            utilisation=self._utilisation.of_late(),
            device=device_name(self._where),
            started=self._began,
        )

    def programs(self) -> list[Program]:
        """Returns the batched programs, to look at."""
        return self._programs.all()

    def close(self) -> None:
        """Ends the loop; replicas that train are let go."""
        if not self._closed:
            self._mailbox.ask(self._end)
            self._thread.join()

    # --- The loop ---

    def _loop(self) -> None:
        try:
            while not self._closed:
                self._mailbox.obey(0.0 if self._running or self._waiting or self._reporting else None)
                self._place()
                for program in self._programs.busy():
                    self._step(program)
                if self._tell():
                    self._mailbox.obey(GRACE)
                self._programs.narrow(self._asked())
        except BaseException as error:
            _LOGGER.exception("the device's loop ended")
            for errand in self._errands():
                _finish([errand], error)
            self._fatal()
            raise
        finally:
            self._closed = True

    def _end(self) -> None:
        self._closed = True
        self._release(self._asked())

    def _errands(self) -> list[Errand]:
        """Returns all that somebody waits for."""
        reporting = [errand for _, errands in list(self._reporting) for errand in errands]
        return [*list(self._waiting), *list(self._placing), *list(self._running), *reporting]

    def _asked(self) -> set[Tenant]:
        """Returns the replicas that somebody waits for."""
        return {errand.tenant for errand in self._errands()}

    def _place(self) -> None:
        """Gives rows to those that wait, the first first; a row that rests makes room for them."""
        self._placing, self._waiting = list(self._waiting), deque()
        newcomers: dict[Program, list[Errand]] = {}
        for errand in self._placing:
            if errand.tenant.seat is not None:
                self._send(errand)
                continue
            try:
                program = self._programs.of(errand.tenant.shape, newcomers.keys())
                coming = newcomers.setdefault(program, [])
                if self._programs.has_room(program, len(coming)) or self._programs.evict(program, self._asked()):
                    coming.append(errand)
                else:
                    self._waiting.append(errand)
            except torch.OutOfMemoryError as error:  # there was none for a program, or to take a row back
                self._wait_or_fail(errand, error)
            except Exception as error:  # noqa: BLE001  # it goes to whose it is
                _finish([errand], error)
        for program, errands in newcomers.items():
            self._admit(program, errands)
        self._placing = []

    def _wait_or_fail(self, errand: Errand, error: torch.OutOfMemoryError) -> None:
        """Keeps a replica waiting as long as others may give memory back."""
        torch.cuda.empty_cache()
        if self._running or self._reporting:
            self._waiting.append(errand)
        else:
            _finish([errand], MemoryError(f"{errand.tenant.shape.needs()}, and the device has not so much: {error}"))

    def _admit(self, program: Program, errands: Sequence[Errand]) -> None:
        """Seats replicas; if one cannot be seated, the others are all the same."""
        try:
            members = [errand.member or errand.tenant.member(errand.tenant.state) for errand in errands]
            self._programs.seat(program, [errand.tenant for errand in errands], members)
        except torch.OutOfMemoryError:
            self._no_memory_for(program, errands)
            return
        except Exception as error:  # noqa: BLE001  # it goes to whose it is
            if len(errands) > 1:
                for errand in errands:
                    self._admit(program, [errand])
            elif isinstance(error, CacheFull) and program.seats:
                self._programs.evict(program, self._asked())  # maps are shared; it may take several to go
                self._waiting.append(errands[0])
            else:
                _finish(errands, error)
            return
        for errand in errands:
            errand.member = None
            self._send(errand)

    def _send(self, errand: Errand) -> None:
        """Sends a replica that has a row to its milestone."""
        seat = errand.tenant.seat
        assert seat is not None  # who is sent has a row
        seat.goal, errand.tenant.idle = seat.steps_at(errand.progress), 0
        self._running.append(errand)

    def _step(self, program: Program) -> None:
        began = time.perf_counter()
        try:
            moved = self._programs.step(program)
        except torch.OutOfMemoryError:
            self._out_of_memory(program)
            return
        except Exception as error:  # noqa: BLE001  # it goes to all who train there
            self._fail(program, error)
            return
        self._busy_seconds += time.perf_counter() - began
        self._steps += 1
        self._replica_steps += moved

    def _tell(self) -> bool:
        """Has those scored that have come to their milestones, and reports what is known; returns whether anything was.

        The device goes on with others while scores are on their way to the host.
        """
        arrived = [e for e in self._running if e.tenant.seat is not None and e.tenant.seat.rests]
        self._running = [e for e in self._running if e not in arrived]
        groups: dict[tuple[Program, float, bool], list[Errand]] = {}
        for errand in arrived:
            assert errand.tenant.program is not None  # who runs has a row
            groups.setdefault((errand.tenant.program, errand.progress, errand.score), []).append(errand)
        for (program, progress, score), errands in groups.items():
            seats = [errand.tenant.seat for errand in errands if errand.tenant.seat is not None]
            try:
                self._reporting.append((program.asked(seats, progress, score=score), errands))
            except torch.OutOfMemoryError:
                self._running += errands
                self._out_of_memory(program)
            except Exception as error:  # noqa: BLE001  # it goes to all who wait for it
                _finish(errands, error)
        known = [(p, e) for p, e in self._reporting if p.ready or not (self._running or self._waiting)]
        self._reporting = [(p, e) for p, e in self._reporting if not any(p is other for other, _ in known)]
        for pending, errands in known:
            try:
                _finish(errands, pending.value())
            except Exception as error:  # noqa: BLE001  # it goes to all who wait for it
                _finish(errands, error)
        return bool(known)

    # --- When something goes wrong ---

    def _out_of_memory(self, program: Program) -> None:
        """Trains fewer replicas side by side from now on; those that lose their rows wait for others."""
        try:
            gone = self._programs.halve(program)
        except MemoryError as error:
            self._fail(program, error)
            return
        errands = [errand for errand in self._running if errand.tenant in gone]
        self._running = [errand for errand in self._running if errand.tenant not in gone]
        self._waiting.extendleft(reversed(errands))

    def _no_memory_for(self, program: Program, errands: Sequence[Errand]) -> None:
        """Keeps replicas waiting that the device has no memory for now, if there is any chance that it will have."""
        self._programs.full(program)
        if len(errands) > 1 and not (program.seats or self._running):
            self._admit(program, errands[:1])
            errands = errands[1:]
        elif not (program.seats or self._running):
            _finish(errands, MemoryError(self._programs.too_large(program)))
            return
        self._waiting.extendleft(reversed(errands))

    def _fail(self, program: Program, error: BaseException) -> None:
        """Tells all who train in a program what went wrong, and closes it."""
        tenants = self._programs.close(program, f"the program that it rested in failed ({error})")
        _finish([errand for errand in self._running if errand.tenant in tenants], error)
        self._running = [errand for errand in self._running if errand.tenant not in tenants]


def abandon() -> None:
    """Ends a process whose device's loop has ended: Ray starts another, and the trials go on there."""
    os._exit(1)


def _finish(errands: Sequence[Errand], report: Report | BaseException) -> None:
    """Tells all who wait for errands what came of them; those that were called back meanwhile wait no more."""
    for i, errand in enumerate(errands):
        if errand.done.cancelled():
            continue
        if isinstance(report, Report):
            errand.done.set_result(report.of(i))
        else:
            errand.done.set_exception(report)
