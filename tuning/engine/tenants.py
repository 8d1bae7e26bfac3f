"""Replicas that rent rows of a device's programs: where each stands while it trains, waits or rests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

from torch import Tensor

from pamfn.phases.mould import Member, Mould
from pamfn.phases.program import Program
from pamfn.phases.report import Report
from pamfn.phases.seat import Seat

State = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Shape:
    """What replicas must agree in to be rows of one program.

    Args:
        key: Equal for equal shapes.
        mould: Makes the networks.
        rows: How many fit a device and keep it busy.
        needs: Says what one of them takes; asked only where that is too much.
        exact: Whether it trains in float32 whatever the study's precision, as what studies share does.
    """

    key: tuple[object, ...]
    mould: Callable[[], Mould]
    rows: int
    needs: Callable[[], str]
    exact: bool = False


@dataclass(eq=False)
class Tenant:
    """One replica on a device.

    Args:
        name: What errors call it.
        shape: The shape of its network.
        member: Makes it ready for a row, given where it stood; None for a fresh one.
        state: Where it stands while it has no row; None before it has begun.
        seat: Its place in a program while it has one.
        program: That program.
        idle: Steps of its program that it has rested in its row.
        owed: Sum of its losses that were not reported before it lost its row, and of how many steps it is.
        lost: What befell its program, and with it where it stood; empty while nothing has.
    """

    name: str
    shape: Shape
    member: Callable[[State | None], Member]
    state: State | None = None
    seat: Seat | None = None
    program: Program | None = None
    idle: int = 0
    owed: tuple[float, int] = (0.0, 0)
    lost: str = ""

    def leave(self, *, keep: bool) -> None:
        """Gives its row back; with ``keep`` it can go on from where it stands."""
        if self.seat is not None and self.program is not None:
            if keep:
                self.state, self.owed = self.program.state(self.seat), self.program.owed(self.seat)
            self.program.dismiss([self.seat])
        self.seat = self.program = None

    def standing(self) -> State:
        """Returns all that it needs to go on.

        Raises:
            ValueError: If it has not begun.
            RuntimeError: If its program failed while it rested there.
        """
        if self.seat is not None and self.program is not None:
            return self.program.state(self.seat)
        if self.lost:
            raise RuntimeError(f"{self.name}: {self.lost}")
        if self.state is None:
            raise ValueError(f"{self.name}: it has not begun, so there is no state of it")
        return self.state


@dataclass(eq=False)
class Errand:
    """A tenant on its way to a milestone.

    Args:
        tenant: The replica.
        progress: Share of its full budget that it is to reach.
        score: Whether to score its held-out videos there.
        member: It, ready for a row; None where it has one.
        done: Will hold the report.
    """

    tenant: Tenant
    progress: float
    score: bool
    member: Member | None
    done: Future[Report] = field(default_factory=Future)
