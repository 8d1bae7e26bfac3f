"""Phase 1 (Sec. III-F): each modality's branch is trained alone, with a regression layer and the squared error."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from pamfn.data.bank import Bank
from pamfn.model.branches import Branch, Standardise
from pamfn.model.network import build_branch
from pamfn.phases.mould import Member, Mould
from pamfn.phases.objective import objective_of
from pamfn.phases.plan import Plan
from pamfn.phases.program import parts_of
from pamfn.phases.replica import Replica
from pamfn.phases.training import Training
from pamfn.recipe import BRANCH_SETTINGS, Recipe
from pamfn.replicas.cut import cut, initialise, put
from pamfn.replicas.noise import STREAM
from pamfn.seeding import derive

MOMENTS_ROOM = 64  # videos whose moments are taken at once


def branch_settings(recipe: Recipe) -> dict[str, Any]:
    """Returns the settings that decide what a pretrained branch is."""
    return {name: value for name, value in dataclasses.asdict(recipe).items() if name in BRANCH_SETTINGS}


def branch_training(recipe: Recipe, modality: str, replicas: Sequence[Replica], bank: Bank) -> Training:
    """Returns the phase-1 training of one modality's branch for every replica.

    Args:
        recipe: The settings.
        modality: Stream to read.
        replicas: One branch for each.
        bank: The features.

    Returns:
        A training whose state at progress 1 is the branch that phase 2 takes: its last epoch, not its best.
    """
    members = [branch_member(recipe, modality, replica, bank) for replica in replicas]
    return Training(branch_mould(recipe, bank.only(modality)), members)


def branch_mould(recipe: Recipe, bank: Bank, room: int = 0) -> Mould:
    """Returns the shape of branches, whichever of the bank's modalities each reads.

    Args:
        recipe: The settings.
        bank: The features.
        room: Places for videos in a batch, at least.

    Raises:
        ValueError: If the modalities are not all of one width.
    """
    widths = {*bank.widths.values()}
    if len(widths) > 1:
        raise ValueError(f"branches: {bank.widths}: those of different widths have different shapes")
    (inputs,) = widths
    return Mould(
        lambda: build_branch(recipe, STREAM, inputs, 1),
        bank,
        room=room,
        stream=STREAM,
        objective=objective_of(recipe),
    )


def branch_mould_settings(recipe: Recipe) -> dict[str, Any]:
    """Returns the settings in which the branches of one batched program must agree."""
    shape = {name: value for name, value in branch_settings(recipe).items() if not name.startswith("phase1_")}
    del shape["target"]
    return {**shape, "phase1_optimizer": recipe.phase1_optimizer}


def branch_member(
    recipe: Recipe, modality: str, replica: Replica, bank: Bank, state: Mapping[str, torch.Tensor] | None = None
) -> Member:
    """Returns a replica's branch where it starts or, given what `Program.state` returned, goes on."""
    if state is not None:
        return Member(replica, _plan(recipe), *parts_of(state), stream=modality)
    branch = build_branch(recipe, modality, bank.widths[modality], 1)
    initialise(branch, [derive(replica.seed, "branch", modality)])
    fit_standardise(branch, bank, [replica.train])
    return Member(replica, _plan(recipe), cut(branch, 0), stream=modality)


def _plan(recipe: Recipe) -> Plan:
    return Plan(
        epochs=recipe.phase1_epochs,
        batch_size=recipe.batch_size,
        clip=recipe.clip,
        padding=recipe.padding,
        target=recipe.target,
        optimizer=recipe.phase1_optimizer,
        lr=recipe.phase1_lr,
        lr_floor=recipe.phase1_lr_floor,
        schedule=recipe.phase1_schedule,
        weight_decay=recipe.phase1_weight_decay,
        momentum=recipe.phase1_momentum,
        clip_norm=recipe.phase1_clip_norm,
    )


class Reader(Protocol):
    """What reads one stream, standardised or as it is."""

    modality: str
    standardise: Standardise | None


@torch.no_grad()
def fit_standardise(reader: Reader, bank: Bank, videos: Sequence[NDArray[np.int64]]) -> None:
    """Sets a reader's input statistics to those of each replica's training videos, where it standardises at all."""
    if reader.standardise is None:
        return
    only = bank.only(reader.modality)
    for replica, mine in enumerate(videos):
        mean, deviation = _moments(only, reader.modality, mine)
        reader.standardise.mean[replica].copy_(mean)
        reader.standardise.scale[replica].copy_(torch.where(deviation > 1e-6, 1 / deviation, 1.0))


def _moments(bank: Bank, modality: str, videos: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the mean and standard deviation of a stream over all segments of some videos, (D,) each."""
    count = torch.zeros((), dtype=torch.float64, device=bank.device)
    total = square = torch.zeros(bank.widths[modality], dtype=torch.float64, device=bank.device)
    for some in np.array_split(videos, -(-len(videos) // MOMENTS_ROOM)):
        x, lengths = bank.whole(torch.from_numpy(some)[None])
        x_SD = x[modality].double().flatten(0, 2)  # rows beyond a video's end are zeros and add nothing
        count, total, square = count + lengths.sum(), total + x_SD.sum(0), square + x_SD.square().sum(0)
    mean = total / count
    return mean, (square / count - mean.square()).clamp(min=0).sqrt()


def branch_states(training: Training) -> list[dict[str, torch.Tensor]]:
    """Returns each replica's branch as a state dict, without what only its training needed."""
    prefix = "weights/"
    states = [training.state(replica) for replica in range(len(training.replicas))]
    return [{n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)} for state in states]


def install_branches(
    branches: Mapping[str, Branch], states: Mapping[str, Sequence[Mapping[str, torch.Tensor]]]
) -> None:
    """Puts pretrained branches in their places.

    Args:
        branches: Stacked branches by modality.
        states: By modality, a state dict for each replica.

    Raises:
        ValueError: If a modality is missing, or a state does not fit.
    """
    missing = [name for name in branches if name not in states]
    if missing:
        raise ValueError(f"branches: no pretrained branch for {', '.join(missing)}")
    for name, branch in branches.items():
        for replica, state in enumerate(states[name]):
            put(branch, replica, state)
