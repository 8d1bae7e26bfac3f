"""One batched program: replicas of one shape trained side by side, each at its own step, rate and epoch.

Replicas come and go between steps. Each is a row of every tensor; when one goes, those behind it move up, so that a
step never computes what nobody needs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pamfn.data.bank import ABSENT
from pamfn.phases.batch import moved, next_batch, read_by, streams_of
from pamfn.phases.mould import Member, Mould
from pamfn.phases.pending import Pending, Transfer
from pamfn.phases.report import Report
from pamfn.phases.scorer import Scored, Scorer
from pamfn.phases.seat import Seat
from pamfn.replicas.captured import Captured, CudaRecorder
from pamfn.replicas.cut import cut, put
from pamfn.replicas.noise import Noise, Sites
from pamfn.replicas.optimizer import ReplicaOptimizer
from pamfn.replicas.pack import Pack
from pamfn.replicas.precision import coarsely
from pamfn.replicas.segments import Segments


class Program:
    """Replicas of one shape, trained as one batched program.

    With as many rows and FusionNets, a replica's numbers are the same to the bit whatever its neighbours hold and
    wherever its row is, if the width is a multiple of 16 (else a vector may reach over two rows). Among more or fewer
    rows they are the same within rounding, since the library takes another matrix kernel for another size.

    Args:
        mould: The shape of its networks.
        precision: ``bf16`` computes a step's activations and matrix products so; weights, their gradients, batch norms'
            sums and scores stay in float32. Anything else leaves it to torch's settings.
    """

    def __init__(self, mould: Mould, *, precision: str = "float32") -> None:
        self.mould, self.bank = mould, mould.bank
        self._coarse = precision == "bf16"
        self.seats: list[Seat] = []
        self.network, self._axis = mould.network()
        self._pack = Pack(self.network, self._axis, mould.is_head)
        self._pack.resize([])
        self._optimizer: ReplicaOptimizer | None = None
        self._cache = mould.cache() if mould.cache is not None else None
        self._lengths_V = self.bank.lengths_of_videos
        self._room = mould.room
        self._loss_R = torch.zeros(0, device=self.bank.device)
        self._recorded_at = self._pack.generation
        self._full = False  # whether every place of the batch has a video
        self._sites = Sites()
        recorder = CudaRecorder() if self.bank.device.type == "cuda" and mould.recordable else None
        self._scorer = Scorer(
            mould, self._cache, Scored(self.network, self._pack, mould.objective.said, recorder), recorder
        )
        self._gradients = Captured(
            self._differentiate,
            touched=lambda: [self._pack.grads_RP, self._pack.grads_FP],
            undone=self._pack.statistics,
            recorder=recorder,
        )

    @property
    def row_bytes(self) -> int:
        """Bytes that one replica holds between steps, with FusionNets as the others have them on average."""
        nets = len(self.seats) and sum(seat.nets for seat in self.seats) / len(self.seats)
        return self._pack.replicas.row_bytes + int(nets * self._pack.nets.row_bytes)

    @property
    def busy(self) -> bool:
        """Whether a replica has not come to its goal."""
        return any(not seat.rests for seat in self.seats)

    def admit(self, members: Sequence[Member]) -> list[Seat]:
        """Takes in replicas, which rest until they get a goal.

        Raises:
            ValueError: If a replica's plan differs from the others' in what they share, or its weights do not fit.
            CacheFull: If there is no room for the maps of their fixed branches now.
        """
        seats = [Seat(member, len(self.seats) + i, self._lengths_V) for i, member in enumerate(members)]
        plans = {seat.plan.shared for seat in (*self.seats, *seats)}
        if len(plans) > 1:
            raise ValueError(f"a program trains replicas of one shape, not of {len(plans)}: {plans}")
        before = list(self.seats)
        self._claim(seats)
        try:
            self._pack.resize([seat.nets for seat in (*before, *seats)])
            if self._optimizer is None:
                self._optimizer = ReplicaOptimizer(self._pack, kind=seats[0].plan.optimizer)
            for seat, member in zip(seats, members, strict=True):
                self._pack.blank(seat.row)
                put(self.network, seat.row, member.weights)
                self._optimizer.restore(seat.row, member.moments)
        except Exception:
            self._release(seats)
            self._pack.resize([seat.nets for seat in before])
            raise
        self.seats += seats
        self._loss_R = torch.cat([self._loss_R, self._loss_R.new_zeros(len(seats))])
        self._arranged()
        return seats

    def dismiss(self, seats: Iterable[Seat]) -> None:
        """Lets replicas go; the others move up."""
        gone = set(seats)
        self._release(gone)
        rows = [seat.row for seat in self.seats if seat not in gone]
        self._pack.keep_only(rows)
        if self._optimizer is not None:
            self._optimizer.keep_only(rows)
        self._loss_R = self._loss_R[rows]
        self.seats = [seat for seat in self.seats if seat not in gone]
        for row, seat in enumerate(self.seats):
            seat.row = row
        self._arranged()

    def _claim(self, seats: Sequence[Seat]) -> None:
        """Finds, or computes, the maps of the branches that replicas stand on."""
        try:
            for seat in seats if self._cache is not None else ():
                assert self._cache is not None
                assert seat.standing is not None  # a member of a mould with a cache
                seat.claim = self._cache.claim(seat.standing)
        except Exception:
            self._release(seats)
            raise

    def _release(self, seats: Iterable[Seat]) -> None:
        for seat in seats:
            if self._cache is not None and seat.claim is not None and seat.standing is not None:
                self._cache.release(seat.standing.key)
                seat.claim = None

    def _arranged(self) -> None:
        """Brings what depends on the rows into line with them."""
        self._room = max([self.mould.room, *(seat.order.largest for seat in self.seats)])
        if not self.seats:
            self._optimizer = None
            self._scorer.forget()
        self.network.train()

    def step(self) -> int:
        """Takes one step of every replica that does not rest; returns how many that were.

        Raises:
            torch.OutOfMemoryError: If the device has not enough memory; all replicas stand where they stood.
        """
        active = np.array([not seat.rests for seat in self.seats])
        assert self._optimizer is not None  # a program that steps has replicas
        if self._recorded_at != self._pack.generation:
            self._gradients.forget()
            self._recorded_at = self._pack.generation
        before = [statistics.clone() for statistics in self._pack.statistics()]
        arrays, self._full = next_batch(self.seats, active, self._room, self._sites)
        try:
            loss_R = self._gradients(
                (self._pack.layout, len(arrays["keys"]), *streams_of(self.seats)), moved(arrays, self.bank.device)
            )
            self._optimizer.step([seat.plan.rate(seat.epoch) for seat in self.seats], active.tolist())
        except torch.OutOfMemoryError:
            for statistics, was in zip(self._pack.statistics(), before, strict=True):
                statistics.copy_(was)
            raise
        self._loss_R += loss_R
        for seat, takes in zip(self.seats, active, strict=True):
            seat.steps += int(takes)
        return int(active.sum())

    def _differentiate(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Fills in the gradients of a batch; returns the replicas' losses (R,), 0 for those without videos.

        Everything that depends on values comes with the inputs, so that a GPU can be told once what to do.
        """
        plan, videos_RB = self.seats[0].plan, inputs["videos"]
        x, real_RB = read_by(self.mould, self.seats).clips(videos_RB, inputs["starts"], plan.clip)
        given = {} if self._cache is None else {"given": self._cache.clips(inputs["places"])}
        if plan.padding == "mask":
            segments = Segments(plan.clip, real_RB)
        else:
            full = self._full and self.bank.device.type != "cuda"  # a recording is good for any batch
            counted_RB = None if full else (videos_RB != ABSENT) * plan.clip
            segments = Segments(plan.clip, counted_RB, ragged=False, real_RB=real_RB)
        seeds, steps = [seat.replica.seed for seat in self.seats], [seat.steps for seat in self.seats]
        streams, known = streams_of(self.seats), inputs["keys"]
        noise = Noise(seeds, steps, self.bank.device, streams=streams, sites=self._sites, keys=known)
        self._pack.zero_grad()
        with coarsely(self.bank.device, on=self._coarse):
            output = self.network(x, segments, noise, **given)
        loss_R = self.mould.objective.losses(output, inputs, segments, self.bank)
        if output.penalty_R is not None:
            loss_R = loss_R + output.penalty_R
        loss_R.sum().backward()  # type: ignore[no-untyped-call]
        return loss_R.detach()

    def report(self, seats: Sequence[Seat], progress: float, *, score: bool = True) -> Report:
        """Returns where replicas stand; see `asked`, which does not wait for it."""
        return self.asked(seats, progress, score=score).value()

    def asked(self, seats: Sequence[Seat], progress: float, *, score: bool = True) -> Pending[Report]:
        """Asks where replicas stand, who are to rest until that is known; the mean of their losses begins anew.

        Args:
            seats: The replicas.
            progress: Share of the full budget.
            score: Whether to score their held-out videos.
        """
        rows, epochs = [seat.row for seat in seats], [seat.epoch for seat in seats]
        taken = [seat.steps - seat.counted_from for seat in seats]
        numbers = [self._loss_R, self._pack.finite_R().to(self._loss_R.dtype)]
        if self.mould.vital is not None:
            numbers.append(self.mould.vital(self.network).detach())
        standing = Pending([Transfer(torch.stack(numbers)[:, rows])], lambda arrived: arrived[0].tolist())
        scores = self._predicting(seats, None) if score else None
        for seat in seats:
            seat.counted_from = seat.steps
        self._loss_R[rows] = 0.0
        replicas = [seat.replica for seat in seats]

        def report() -> Report:
            totals, finite, *vital = standing.value()
            losses = [total / n if n else math.nan for total, n in zip(totals, taken, strict=True)]
            why = [self.mould.verdict(number) for number in vital[0]] if vital else [""] * len(rows)
            ended = [mine or _divergence(*of) for mine, *of in zip(why, losses, taken, finite, strict=True)]
            if scores is None:
                return Report(progress, epochs, losses, [], [False] * len(rows), ended, self.mould.objective.metric)
            found, constant = self.mould.objective.judged(scores.value(), replicas, self.bank)
            unscored = "diverged: a predicted score is not finite"
            ended = [mine or (unscored if math.isnan(s) else "") for mine, s in zip(ended, found, strict=True)]
            found = [math.nan if mine else s for mine, s in zip(ended, found, strict=True)]
            return Report(progress, epochs, losses, found, constant, ended, self.mould.objective.metric)

        return Pending.all([standing, *([scores] if scores is not None else [])], report)

    def owed(self, seat: Seat) -> tuple[float, int]:
        """Returns the sum of a replica's losses that were not reported yet, and of how many steps it is."""
        return float(self._loss_R[seat.row]), seat.steps - seat.counted_from

    def owe(self, seat: Seat, total: float, steps: int) -> None:
        """Goes on with what `owed` returned of a replica before it changed its row."""
        self._loss_R[seat.row] = total
        seat.counted_from = seat.steps - steps

    def predict(
        self, seats: Sequence[Seat], videos: Sequence[NDArray[np.int64]] | None = None
    ) -> list[NDArray[np.float64]]:
        """Scores videos, or their segments, each replica's held-out ones by default; in (0, 1).

        Args:
            seats: The replicas; if not all of the program, their rows are copied into a smaller network.
            videos: Indices of the videos of each.
        """
        return self._predicting(seats, videos).value()

    def _predicting(
        self, seats: Sequence[Seat], videos: Sequence[NDArray[np.int64]] | None
    ) -> Pending[list[NDArray[np.float64]]]:
        return self._scorer.predicting(seats, videos, every=list(seats) == self.seats)

    def state(self, seat: Seat) -> dict[str, Tensor]:
        """Returns all that one replica needs to go on, as named tensors: weights, moments, step."""
        assert self._optimizer is not None  # a program with a seat has an optimiser
        weights = cut(self.network, seat.row, leave=self.mould.leave)
        return {
            **{f"weights/{name}": value.cpu() for name, value in weights.items()},
            **{f"optimizer/{name}": value.cpu() for name, value in self._optimizer.state(seat.row).items()},
            "step": torch.tensor(seat.steps),
        }

    def restore(self, seat: Seat, state: Mapping[str, Tensor]) -> None:
        """Puts a replica where `state` found it.

        Raises:
            ValueError: If the weights do not fit the network.
        """
        assert self._optimizer is not None  # a program with a seat has an optimiser
        weights, moments, steps = parts_of(state)
        put(self.network, seat.row, weights, leave=self.mould.leave)
        self._optimizer.restore(seat.row, moments)
        seat.steps = seat.goal = seat.counted_from = steps


def parts_of(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor], int]:
    """Returns the weights, the optimiser's state and the steps of what `Program.state` returned."""
    return _below(state, "weights/"), _below(state, "optimizer/"), int(state["step"])


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _divergence(loss: float, taken: int, finite: float) -> str:
    if taken and not math.isfinite(loss):
        return "diverged: the training loss is not finite"
    return "" if finite else "diverged: a weight is not finite"
