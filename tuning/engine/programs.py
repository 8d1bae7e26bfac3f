"""The batched programs of a device: who has rows in them, and for how many there is room."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

import torch

from pamfn.phases.mould import Member
from pamfn.phases.program import Program
from tuning.engine.measured import StepMemory, memory_of, rows_that_fit
from tuning.engine.tenants import Shape, Tenant

_LOGGER = logging.getLogger(__name__)
REST = 3  # steps of its program that a replica may rest in its row; after that it makes room
IDLE = 2  # programs without rows that are kept for those who may come
ROOM = 16  # rows that a device without programs says it has


class Programs:
    """One program for each shape, made when the first replica of that shape comes.

    Args:
        where: The device.
        slots: Rows of a program at most; None for what keeps the device busy and fits its memory.
        precision: Of their steps.
    """

    def __init__(self, where: torch.device, slots: int | None, precision: str) -> None:
        self._where, self._slots, self._precision = where, slots, precision
        self._programs: dict[tuple[object, ...], Program] = {}
        self._tenants: dict[Program, list[Tenant]] = {}
        self._shapes: dict[Program, Shape] = {}
        self._most: dict[Program, int] = {}
        self._measured: dict[Program, int] = {}

    def busy(self) -> list[Program]:
        """Returns the programs in which a replica has not come to its goal."""
        return [program for program in self._programs.values() if program.busy]

    def all(self) -> list[Program]:
        """Returns all programs; from whatever thread."""
        return list(self._programs.values())

    def rooms(self) -> list[int]:
        """Returns the free rows of each program; of one that there might be, if there is none."""
        return [self._most.get(program, 0) - len(program.seats) for program in self.all()] or [self._slots or ROOM]

    def of(self, shape: Shape, keep: Collection[Program] = ()) -> Program:
        """Returns the program of a shape; an empty one of another makes room for a new one, if it is not to be kept."""
        if shape.key not in self._programs:
            self._drop_empty(keep, IDLE)
            program = Program(shape.mould(), precision="float32" if shape.exact else self._precision)
            self._tenants[program], self._shapes[program] = [], shape
            self._most[program] = self._slots or shape.rows
            self._programs[shape.key] = program
        return self._programs[shape.key]

    def _drop_empty(self, keep: Collection[Program], most: int) -> None:
        """Drops programs without rows, the oldest first, until there are no more than so many: they hold memory."""
        empty = [program for program in self.all() if not program.seats and program not in keep]
        for program in empty[: max(0, len(empty) - most)]:
            self.close(program, "")

    def has_room(self, program: Program, coming: int) -> bool:
        """Tells whether there is a row for one more than those that are coming."""
        return len(program.seats) + coming < self._most[program]

    def tenants(self, program: Program) -> list[Tenant]:
        """Returns who has a row in a program."""
        return list(self._tenants[program])

    def seat(self, program: Program, tenants: Sequence[Tenant], members: Sequence[Member]) -> None:
        """Gives replicas rows; see `Program.admit` for what it raises, in which case none gets one."""
        seats = program.admit(members) if members else []
        for tenant, seat in zip(tenants, seats, strict=True):
            program.owe(seat, *tenant.owed)
            tenant.seat, tenant.program, tenant.state, tenant.owed = seat, program, None, (0.0, 0)
            self._tenants[program].append(tenant)

    def leave(self, tenant: Tenant, *, keep: bool) -> None:
        """Takes a replica's row back; with ``keep`` it can go on from where it stands."""
        program = tenant.program
        tenant.leave(keep=keep)
        if program is not None:
            self._tenants[program].remove(tenant)

    def evict(self, program: Program, asked: Collection[Tenant]) -> bool:
        """Frees the row of a replica that rests and is not among those asked for; returns whether there was one."""
        for tenant in self._tenants[program]:
            if tenant.seat is not None and tenant.seat.rests and tenant not in asked:
                self.leave(tenant, keep=True)
                return True
        return False

    def narrow(self, asked: Collection[Tenant]) -> None:
        """Frees rows that have rested for some steps: a narrower program is faster for the others."""
        for program in self.busy():
            for tenant in self.tenants(program):
                if tenant.idle >= REST and tenant not in asked:
                    self.leave(tenant, keep=True)

    def step(self, program: Program) -> int:
        """Takes a step of a program; returns how many replicas took it. See `Program.step` for what it raises."""
        with StepMemory(self._where) as memory:
            moved = program.step()
        if memory.bytes and len(program.seats) > self._measured.get(program, 0):
            self._size(program, memory.bytes)
        for tenant in self._tenants[program]:
            tenant.idle = tenant.idle + 1 if tenant.seat is not None and tenant.seat.rests else 0
        return moved

    def _size(self, program: Program, step_bytes: int) -> None:
        """Sets a program's rows by the memory that a step of it really took."""
        rows = self._measured[program] = len(program.seats)
        used, total = memory_of(self._where)
        both = 2 * step_bytes  # a recording computes in memory of its own
        fit = rows_that_fit(rows, step_bytes=both, row_bytes=program.row_bytes, free=total - used)
        self._most[program] = self._slots or min(self._shapes[program].rows, fit)

    # --- When there is not memory enough ---

    def halve(self, program: Program) -> list[Tenant]:
        """Takes the rows of half of a program's replicas back; returns whose. One alone waits for others' memory.

        Raises:
            MemoryError: If it has one replica alone, in words for people.
        """
        tenants = self.tenants(program)
        self._drop_empty([program], 0)
        torch.cuda.empty_cache()
        if len(tenants) == 1 and not any(other.seats for other in self.all() if other is not program):
            raise MemoryError(self.too_large(program))
        left = len(tenants) // 2
        self._most[program] = max(1, left)
        _LOGGER.warning("out of memory with %d rows side by side; %d from now on", len(tenants), self._most[program])
        gone = tenants[left:]
        for tenant in gone:
            self.leave(tenant, keep=True)
        return gone

    def full(self, program: Program) -> None:
        """Notes that a program cannot have more rows than it has; an empty one can be tried with one."""
        self._drop_empty([program], 0)
        torch.cuda.empty_cache()
        self._most[program] = max(1, len(program.seats))

    def too_large(self, program: Program) -> str:
        """Says that one replica of a program does not fit the device, and the way out."""
        total = memory_of(self._where)[1] / 1e9
        needs = self._shapes[program].needs()
        return f"{needs}, and the device has {total:.1f} GB; take a smaller width, batch_size or clip"

    def close(self, program: Program, why: str) -> list[Tenant]:
        """Drops a program whose numbers can no longer be relied on; returns who had rows in it, who are lost."""
        tenants = self.tenants(program)
        for tenant in tenants:
            self.leave(tenant, keep=False)
            tenant.lost = why
        del self._programs[self._shapes.pop(program).key], self._tenants[program], self._most[program]
        self._measured.pop(program, None)
        return tenants
