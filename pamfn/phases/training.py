"""The training loop that all phases share: replicas side by side, each at its own step, rate and epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pamfn.data.bank import ABSENT, Bank
from pamfn.phases.order import Order
from pamfn.phases.plan import Plan
from pamfn.phases.replica import Replica
from pamfn.phases.scoring import correlate, predict
from pamfn.phases.target import Target, fit_target
from pamfn.replicas.axis import FusionAxis
from pamfn.replicas.cut import cut, put
from pamfn.replicas.noise import Noise
from pamfn.replicas.optimizer import ReplicaOptimizer, learning_rate
from pamfn.replicas.pack import Pack
from pamfn.replicas.segments import Segments
from pamfn.seeding import derive


@dataclass(frozen=True)
class Report:
    """Where a training stands at a milestone; one entry a replica in every list.

    Attributes:
        progress: Share of the full budget.
        epochs: Epochs done.
        losses: Mean squared error over the steps since the last report; NaN where there were none.
        scores: Spearman's correlation on the held-out videos; NaN for a diverged replica; empty if none was asked for.
        constant: Whether a replica predicts one value for all its videos (its correlation counts as 0).
        ended: Why a replica cannot go on; empty for a healthy one.
    """

    progress: float
    epochs: list[int]
    losses: list[float]
    scores: list[float]
    constant: list[bool]
    ended: list[str]


class Training:
    """A resumable training of R replicas of one network.

    Replicas may differ in videos, steps an epoch, budget and rate; one that has reached a milestone rests, untouched,
    until all have.

    Args:
        network: The stacked network; its trained parameters move into flat buffers.
        replicas: One for each row.
        bank: Features of the videos.
        plan: How to train.
        axis: The network's FusionNet axis, if it has one.
        is_head: Tells the head's parameters by name.
        health: Returns why each replica cannot go on, or empty strings; asked at every milestone.
        leave: Prefixes of names that no training changes and that its state leaves out.
    """

    def __init__(
        self,
        network: nn.Module,
        replicas: Sequence[Replica],
        bank: Bank,
        plan: Plan,
        *,
        axis: FusionAxis | None = None,
        is_head: Callable[[str], bool] = lambda name: False,
        health: Callable[[], list[str]] | None = None,
        leave: Sequence[str] = (),
    ) -> None:
        self._leave = tuple(leave)
        self.network, self.replicas, self.plan = network, list(replicas), plan
        self.targets = [fit_target(plan.target, r.scores_V[r.train], r.largest) for r in replicas]
        self._bank, self._health = bank, health
        lengths = bank.lengths_V.cpu().numpy()
        self._orders = [
            Order(r.train, lengths[r.train], seed=r.seed, batch_size=plan.batch_size, clip=plan.clip) for r in replicas
        ]
        self._room = max(order.largest for order in self._orders)
        self._targets_RV = _encoded(self.targets, self.replicas).to(bank.device)
        pack = Pack(network, len(self.replicas), axis, is_head)
        self._pack = pack
        self._optimizer = ReplicaOptimizer(
            pack,
            len(self.replicas),
            kind=plan.optimizer,
            weight_decay=plan.weight_decay,
            momentum=plan.momentum,
            head_scale=plan.head_lr_scale,
            clip_norm=plan.clip_norm,
        )
        self.steps = np.zeros(len(self.replicas), dtype=np.int64)

    @property
    def epochs(self) -> list[int]:
        """Epochs that each replica has done."""
        return [int(s) // order.steps for s, order in zip(self.steps, self._orders, strict=True)]

    def run(self, milestones: Iterable[float], *, score: bool = True) -> Iterator[Report]:
        """Trains on, and yields a report at every milestone that does not lie behind.

        A milestone that rounds to the epochs that are done already is reported as well, without training: replicas of
        small budgets stand still there while those of another training, with larger ones, go on.

        Args:
            milestones: Ascending shares of the full budget, each in (0, 1].
            score: Whether to score the held-out videos at the milestones.

        Raises:
            ValueError: If a milestone is outside (0, 1].
        """
        for progress in milestones:
            if not 0 < progress <= 1:
                raise ValueError(f"milestones: {progress!r} is not a share of the budget in (0, 1]")
            goals = np.array(
                [milestone_epoch(progress, n) * o.steps for n, o in zip(self.plan.epochs, self._orders, strict=True)]
            )
            if (self.steps <= goals).all():
                losses = self._advance(goals)
                yield self._report(progress, losses, score)

    def _advance(self, goals: NDArray[np.int64]) -> list[float | None]:
        """Trains until every replica has done its goal's steps; returns each one's mean loss, None if it rested."""
        self.network.train()
        begin = self.steps.copy()
        total_R = torch.zeros(len(self.replicas), device=self._bank.device)
        while (active := self.steps < goals).any():
            total_R += self._step(active)
            self.steps += active
        taken = (self.steps - begin).tolist()
        return [total / n if n else None for total, n in zip(total_R.tolist(), taken, strict=True)]

    def _step(self, active: NDArray[np.bool_]) -> Tensor:
        """Takes one step of the active replicas; returns their losses, 0 for the others."""
        batches = [o.batch(int(s), self._room) for o, s in zip(self._orders, self.steps, strict=True)]
        videos = np.stack([v if a else np.full_like(v, ABSENT) for (v, _), a in zip(batches, active, strict=True)])
        videos_RB = torch.from_numpy(videos).to(self._bank.device, non_blocking=True)
        starts_RB = torch.from_numpy(np.stack([s for _, s in batches])).to(self._bank.device, non_blocking=True)
        x, real_RB = self._bank.clips(videos_RB, starts_RB, self.plan.clip)
        segments = self._segments(videos, videos_RB, real_RB)
        noise = Noise([r.seed for r in self.replicas], self.steps.tolist(), self._bank.device)
        self._optimizer.zero_grad()
        score_RB = self.network(x, segments, noise).score_RB
        loss_R = self._loss(score_RB, videos_RB)
        loss_R.sum().backward()  # type: ignore[no-untyped-call]
        self._optimizer.step(self._rates(), active.tolist())
        return loss_R.detach()

    def _segments(self, videos: NDArray[np.int64], videos_RB: Tensor, real_RB: Tensor) -> Segments:
        clip, all_there = self.plan.clip, bool((videos != ABSENT).all())
        if self.plan.padding == "mask":
            return Segments(clip, real_RB)
        counted_RB = None if all_there else (videos_RB != ABSENT) * clip
        return Segments(clip, counted_RB, ragged=False, real_RB=real_RB)

    def _loss(self, score_RB: Tensor, videos_RB: Tensor) -> Tensor:
        """Returns each replica's mean squared error over the videos that are there (Sec. III-F)."""
        there_RB = videos_RB != ABSENT
        target_RB = self._targets_RV.gather(1, videos_RB.clamp(min=0))
        error_RB = torch.where(there_RB, score_RB - target_RB, 0.0)
        return error_RB.square().sum(1) / there_RB.sum(1).clamp(min=1)

    def _rates(self) -> list[float]:
        plan = self.plan
        return [
            learning_rate(epoch, peak=lr, floor=plan.lr_floor, epochs=budget, schedule=plan.schedule)
            for epoch, lr, budget in zip(self.epochs, plan.lr, plan.epochs, strict=True)
        ]

    def _report(self, progress: float, losses: Sequence[float | None], score: bool) -> Report:
        health = self._health() if self._health is not None else [""] * len(losses)
        diverged = [_divergence(*of) for of in zip(losses, self._finite(), strict=True)]
        ended = [why or other for why, other in zip(health, diverged, strict=True)]
        scores: list[float] = []
        constant = [False] * len(losses)
        if score:
            scores, constant = correlate(self.predict(), self.replicas)
            unscored = "diverged: a predicted score is not finite"
            ended = [why or (unscored if math.isnan(s) else "") for why, s in zip(ended, scores, strict=True)]
            scores = [math.nan if why else s for why, s in zip(ended, scores, strict=True)]
        shown = [math.nan if loss is None else loss for loss in losses]
        return Report(progress, self.epochs, shown, scores, constant, ended)

    def _finite(self) -> list[bool]:
        """Tells of each replica whether all its trained weights are finite."""
        finite_R = self._pack.weights_RP.isfinite().all(1)
        if self._pack.axis is not None:
            finite_F = self._pack.weights_FP.isfinite().all(1)
            finite_R = finite_R & self._pack.axis.by_replica(finite_F).all(1)
        return list(finite_R.tolist())

    def predict(self, videos: Sequence[NDArray[np.int64]] | None = None) -> list[NDArray[np.float64]]:
        """Scores videos, each replica's held-out ones by default; in (0, 1)."""
        noise = self._video_noise if self.plan.evaluation_noise else None
        asked = [r.valid for r in self.replicas] if videos is None else videos
        return predict(self.network, self._bank, asked, noise=noise)

    def _video_noise(self, videos_R: NDArray[np.int64]) -> Noise:
        """Returns the noise of scoring these videos: a function of replica, step and video, not of company."""
        seeds = [derive(r.seed, "evaluation", v) for r, v in zip(self.replicas, videos_R.tolist(), strict=True)]
        return Noise(seeds, self.steps.tolist(), self._bank.device)

    def state(self, replica: int) -> dict[str, Tensor]:
        """Returns all that one replica needs to go on, as named tensors: weights, moments, step."""
        return {
            **{f"weights/{name}": value.cpu() for name, value in cut(self.network, replica, leave=self._leave).items()},
            **{f"optimizer/{name}": value.cpu() for name, value in self._optimizer.state(replica).items()},
            "step": torch.tensor(int(self.steps[replica])),
        }

    def restore(self, replica: int, state: Mapping[str, Tensor]) -> None:
        """Puts back what `state` returned.

        Raises:
            ValueError: If the weights do not fit the network.
        """
        put(self.network, replica, _below(state, "weights/"), leave=self._leave)
        self._optimizer.restore(replica, _below(state, "optimizer/"))
        self.steps[replica] = int(state["step"])


def milestone_epoch(progress: float, epochs: int) -> int:
    """Returns the epoch of a budget at which a milestone lies: the nearest whole one, at least the first."""
    return max(1, round(progress * epochs))


def _divergence(loss: float | None, finite: bool) -> str:
    if loss is not None and not math.isfinite(loss):
        return "diverged: the training loss is not finite"
    return "" if finite else "diverged: a weight is not finite"


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _encoded(targets: Sequence[Target], replicas: Sequence[Replica]) -> Tensor:
    """Returns every replica's target of every video, (R, V); 0 where it has no score."""
    rows = [np.nan_to_num(t.encode(r.scores_V)) for t, r in zip(targets, replicas, strict=True)]
    return torch.tensor(np.stack(rows), dtype=torch.float32)
