"""A trial's replicas as rows of a device's programs: what a trial sees of the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from torch import Tensor

from pamfn.architectures import outline
from pamfn.data.bank import Bank
from pamfn.phases.branches import branch_member, branch_mould, branch_mould_settings
from pamfn.phases.fusion import clips_to_keep, fusion_members, fusion_mould, mould_settings
from pamfn.phases.memory import cache_room, network_bytes, rows_at_once, step_bytes
from pamfn.phases.mould import Member
from pamfn.phases.order import largest_batch
from pamfn.phases.replica import Replica
from pamfn.phases.report import Report
from pamfn.recipe import Recipe
from tuning.cohort import Cohort, CohortLike
from tuning.engine.tenants import Shape, State, Tenant
from tuning.milestone import Milestone, found

if TYPE_CHECKING:
    from tuning.engine.device import Device


BRANCHES = 2  # as many branches fit a device as networks, at the least, for each of these


class DeviceRows:
    """Puts replicas into rows of a device's programs; see `tuning.cohort.CohortMaker`.

    Args:
        device: The device.
    """

    def __init__(self, device: Device) -> None:
        self._device = device

    @property
    def together(self) -> bool:
        """Whether branches of all modalities are best trained at once: on a GPU, which one modality does not fill."""
        return self._device.is_gpu

    def __call__(
        self,
        recipe: Recipe,
        replicas: Sequence[Replica],
        bank: Bank,
        branches: Mapping[str, Sequence[State]] | None,
    ) -> CohortLike:
        """Returns the replicas of a trial in phase 2, ready to train; a closed form needs no device."""
        if recipe.of.kind == "closed":
            return Cohort(recipe, replicas, bank, branches)
        clips = clips_to_keep(recipe, self._device.replicas, bank, cache_room(bank.device))
        rows = rows_at_once(recipe, bank.widths, bank.device)
        key = ("fusion", clips, repr(mould_settings(recipe)))
        mould = partial(fusion_mould, recipe, bank, clips, self._room(recipe))
        shape = Shape(key, mould, rows, partial(_needs, recipe, bank))

        def member(row: int, state: State | None) -> Member:
            mine = None if branches is None else {name: of[row : row + 1] for name, of in branches.items()}
            (made,) = fusion_members(recipe, replicas[row : row + 1], bank, mine, [state], kept=clips > 0)
            return made

        tenants = [Tenant(r.name, shape, partial(member, row)) for row, r in enumerate(replicas)]
        return DeviceCohort(self._device, tenants, recipe, bank)

    def branches(
        self, recipe: Recipe, modality: str, replicas: Sequence[Replica], bank: Bank, *, score: bool
    ) -> tuple[Report, list[dict[str, Tensor]]]:
        """Trains one modality's branch for every replica; see `tuning.cohort.CohortMaker`."""
        alike = [name for name, width in bank.widths.items() if width == bank.widths[modality]]
        key = ("branch", *alike, repr(branch_mould_settings(recipe)))
        rows = BRANCHES * rows_at_once(recipe, bank.widths, bank.device)
        mould = partial(branch_mould, recipe, bank.only(*alike), self._room(recipe))
        shape = Shape(key, mould, rows, partial(_needs, recipe, bank), exact=True)

        def member(replica: Replica, state: State | None) -> Member:
            return branch_member(recipe, modality, replica, bank, state)

        tenants = [Tenant(f"{modality} branch of {r.name}", shape, partial(member, r)) for r in replicas]
        try:
            reports = self._device.train(tenants, 1.0, score=score)
            states = [_weights(state) for state in self._device.states(tenants)]
        finally:
            self._device.release(tenants)
        return Report.joined(reports), states

    def _room(self, recipe: Recipe) -> int:
        """Returns places for the largest batch of any replica of the study: the same, whoever is in company."""
        return max(largest_batch(len(replica.train), recipe.batch_size) for replica in self._device.replicas)


def _needs(recipe: Recipe, bank: Bank) -> str:
    needed = (step_bytes(recipe, bank.widths, bank.device.type) + network_bytes(recipe, bank.widths)) / 1e9
    nets = f", K = {recipe.fusion_nets}" if recipe.has_fusion_nets else ""
    return (
        f"one network of {recipe.model} of width {recipe.width}{nets}, batches of {recipe.batch_size} clips of "
        f"{recipe.clip} segments, needs about {needed:.1f} GB"
    )


@lru_cache(maxsize=256)  # an outline takes a tenth of a second, and every trial asks
def _parameters(recipe: Recipe, widths: tuple[tuple[str, int], ...]) -> int:
    return sum(parameter.numel() for parameter in outline(recipe, dict(widths)).parameters())


def _weights(state: State) -> dict[str, Tensor]:
    prefix = "weights/"
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


class DeviceCohort:
    """Replicas of one trial that share a device's programs with those of others; see `tuning.cohort.CohortLike`.

    Args:
        device: The device.
        tenants: The replicas.
        recipe: The trial's settings.
        bank: Features of the videos.
    """

    def __init__(self, device: Device, tenants: Sequence[Tenant], recipe: Recipe, bank: Bank) -> None:
        self._device, self._tenants = device, list(tenants)
        self._recipe, self._widths = recipe, bank.widths
        self.names = [tenant.name for tenant in tenants]

    @property
    def parameters(self) -> int:
        """Parameters of one network, fixed branches included."""
        alike = replace(mould_settings(self._recipe), fusion_nets=self._recipe.fusion_nets)
        return _parameters(alike, tuple(self._widths.items()))

    def train(self, progress: float) -> Milestone:
        """Trains to a milestone, and returns what came of it."""
        return found(progress, self.names, self._device.train(self._tenants, progress))

    def states(self) -> dict[str, dict[str, Tensor]]:
        """Returns by name all that each replica needs to go on, here or in another cohort."""
        return {name: dict(s) for name, s in zip(self.names, self._device.states(self._tenants), strict=True)}

    def restore(self, name: str, state: State) -> None:
        """Puts a replica where ``states`` found it."""
        self._device.restore(self._tenants[self.names.index(name)], state)

    def close(self) -> None:
        """Gives the rows back; the replicas train no further."""
        self._device.release(self._tenants)
