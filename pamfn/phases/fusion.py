"""Phase 2 (Sec. III-F): mixed branch, MSFD, AFM and CMFD are trained on top of the branches; or all in one stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from torch import Tensor

from pamfn.data.bank import Bank
from pamfn.model.branches import Branch
from pamfn.model.network import PAMFN
from pamfn.phases.branches import fit_standardise, install_branches
from pamfn.phases.plan import Plan
from pamfn.phases.replica import Replica
from pamfn.phases.training import Training
from pamfn.recipe import Recipe
from pamfn.seeding import derive


def fusion_training(
    recipe: Recipe,
    replicas: Sequence[Replica],
    bank: Bank,
    branches: Mapping[str, Sequence[Mapping[str, Tensor]]] | None,
) -> Training:
    """Returns the phase-2 training of the whole network for every replica.

    Args:
        recipe: The settings.
        replicas: One network for each.
        bank: The features; its modalities are the network's.
        branches: Pretrained branches: by modality, a state dict for each replica. None trains in one stage.

    Raises:
        ValueError: If ``recipe.phases`` and ``branches`` disagree, ``fine_tuned`` names a modality that is not
            there, or a branch does not fit.
    """
    if (branches is None) != (recipe.phases == "one"):
        raise ValueError(f"phases: {recipe.phases!r} with {'no' if branches is None else 'given'} pretrained branches")
    replicas = [_reseeded(replica, recipe.reseed) for replica in replicas]
    network = PAMFN(recipe, bank.widths, [derive(r.seed, "fusion") for r in replicas])
    by_name = {name: cast("Branch", branch) for name, branch in network.branches.items()}
    fixed: list[str] = []
    if branches is None:
        for branch in by_name.values():
            fit_standardise(branch, bank, [r.train for r in replicas])
    else:
        install_branches(by_name, branches)
        fixed = [name for name in by_name if name not in recipe.fine_tuned]
    network.fix(fixed)
    for branch in by_name.values():  # the branches' own scores are not trained in phase 2
        branch.head.requires_grad_(False)
    truly = fixed if recipe.fixed_branches == "fixed" else []
    return Training(
        network.to(bank.device),
        replicas,
        bank,
        _plan(recipe, replicas),
        axis=network.fusion_axis,
        is_head=lambda name: name.startswith("head."),
        health=lambda: _temperature_faults(network),
        leave=[f"branches.{name}." for name in truly],
    )


def _reseeded(replica: Replica, reseed: int) -> Replica:
    """Returns a replica whose phase 2 draws other luck; its branches were pretrained under its own seed."""
    return replace(replica, seed=derive(replica.seed, "reseed", reseed)) if reseed else replica


def _plan(recipe: Recipe, replicas: Sequence[Replica]) -> Plan:
    return Plan(
        epochs=[recipe.epochs_of(r.task) for r in replicas],
        batch_size=recipe.batch_size,
        clip=recipe.clip,
        padding=recipe.padding,
        target=recipe.target,
        optimizer=recipe.optimizer,
        lr=[recipe.lr] * len(replicas),
        lr_floor=recipe.lr_floor,
        schedule=recipe.schedule,
        weight_decay=recipe.weight_decay,
        head_lr_scale=recipe.head_lr_scale,
        clip_norm=recipe.clip_norm,
        evaluation_noise=recipe.evaluation_noise,
    )


def _temperature_faults(network: PAMFN) -> list[str]:
    """Returns why a replica's temperature ends it: at 0 or below, Eq. 10 would turn the decision round."""
    return [f"diverged: temperature {tau:g} is not above 0" if tau <= 0 else "" for tau in network.tau_R.tolist()]
