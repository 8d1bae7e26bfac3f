"""One replica in a program: where it stands, and how far it is to go."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pamfn.phases.cache import Claim
from pamfn.phases.mould import Member
from pamfn.phases.order import Order
from pamfn.phases.plan import Plan
from pamfn.phases.replica import Replica
from pamfn.phases.report import milestone_epoch
from pamfn.phases.target import Target, fit_target


class Seat:
    """One replica in a program, and how far it is to go.

    Args:
        member: The replica where it starts or goes on.
        row: Its row.
        lengths_V: Segments of every video.

    Attributes:
        replica: Its videos and its seed.
        plan: How it trains.
        target: What it learns to predict.
        targets_V: That, of every video.
        row: Its row; moves up when a replica before it goes.
        nets: Its FusionNets K.
        stream: The modality that it reads, where every replica reads one of its own.
        standing: The fixed branches that it stands on, if its program keeps their maps.
        claim: Where those are.
        steps: Steps done.
        goal: Steps at which it rests.
        counted_from: Steps since which its losses are summed up.
    """

    def __init__(self, member: Member, row: int, lengths_V: NDArray[np.int64]) -> None:
        self.replica: Replica = member.replica
        self.plan: Plan = member.plan
        self.row, self.nets = row, member.nets
        self.steps = self.goal = self.counted_from = member.steps
        self.standing, self.stream = member.standing, member.stream
        self.claim: Claim | None = None
        mine = self.replica
        self.target: Target = fit_target(self.plan.target, mine.scores_V[mine.train], mine.largest)
        self.targets_V = np.nan_to_num(self.target.encode(mine.scores_V)).astype(np.float32)
        self.order = Order(
            mine.train, lengths_V[mine.train], seed=mine.seed, batch_size=self.plan.batch_size, clip=self.plan.clip
        )

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return self.steps // self.order.steps

    @property
    def rests(self) -> bool:
        """Whether it has come to its goal."""
        return self.steps >= self.goal

    def steps_at(self, progress: float) -> int:
        """Returns the steps done at a share of the full budget.

        Raises:
            ValueError: If the share is outside (0, 1].
        """
        if not 0 < progress <= 1:
            raise ValueError(f"milestones: {progress!r} is not a share of the budget in (0, 1]")
        return milestone_epoch(progress, self.plan.epochs) * self.order.steps
