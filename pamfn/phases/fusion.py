"""Phase 2 (Sec. III-F): a fusion is trained on top of the branches; or, as other models are, all of it in one stage."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import cast

from torch import Tensor, nn

from pamfn.architectures import build_network
from pamfn.baselines.alone import Alone
from pamfn.data.bank import Bank
from pamfn.model.branches import Branch
from pamfn.model.network import PAMFN, build_branch
from pamfn.phases.branches import Reader, fit_standardise, install_branches
from pamfn.phases.cache import FeatureCache, Places, Standing, cache_clips
from pamfn.phases.closed import ClosedTraining
from pamfn.phases.mould import Member, Mould
from pamfn.phases.objective import objective_of
from pamfn.phases.plan import Plan
from pamfn.phases.program import parts_of
from pamfn.phases.replica import Replica
from pamfn.phases.training import Training
from pamfn.recipe import ROW_SETTINGS, Recipe
from pamfn.replicas.cut import cut, put
from pamfn.seeding import derive

State = Mapping[str, Tensor]
Branches = Mapping[str, State]  # of one replica, by modality


def fusion_training(
    recipe: Recipe,
    replicas: Sequence[Replica],
    bank: Bank,
    branches: Mapping[str, Sequence[State]] | None,
    *,
    room: int = 0,
    precision: str = "float32",
) -> Training:
    """Returns the phase-2 training of the whole network for every replica.

    Args:
        recipe: The settings.
        replicas: One network for each.
        bank: The features, with the streams that the model reads.
        branches: Pretrained branches: by modality, a state dict for each replica. None trains in one stage.
        room: Bytes in which to keep what truly fixed branches say of every clip, if all of it fits.
        precision: See `Program`.

    Raises:
        ValueError: If ``recipe.phases`` and ``branches`` disagree, ``fine_tuned`` names a modality that is not
            there, or a branch does not fit.
    """
    clips = clips_to_keep(recipe, replicas, bank, room)
    members = fusion_members(recipe, replicas, bank, branches, kept=clips > 0)
    return Training(fusion_mould(recipe, bank, clips), members, precision=precision)


def training_of(
    recipe: Recipe, replicas: Sequence[Replica], bank: Bank, branches: Mapping[str, Sequence[State]] | None
) -> Training | ClosedTraining:
    """Returns the training of a recipe's model for every replica, whatever it is; see `fusion_training`."""
    if recipe.of.kind == "closed":
        return ClosedTraining(recipe, replicas, bank)
    return fusion_training(recipe, replicas, bank, branches)


def fusion_mould(recipe: Recipe, bank: Bank, clips: int = 0, room: int = 0) -> Mould:
    """Returns the shape of the networks of a recipe; see `mould_settings` for what may differ between them.

    Args:
        recipe: The settings.
        bank: The features, with the streams that the model reads.
        clips: Clips of truly fixed branches whose feature maps are kept, from `clips_to_keep`; 0 computes them anew at
            every step.
        room: Places for videos in a batch, at least.
    """
    bank = read_by_model(recipe, bank)
    fixed = [] if recipe.phases == "one" else [name for name in bank.widths if name not in recipe.fine_tuned]
    truly = truly_fixed(recipe, bank)
    elsewhere = truly if clips else []

    def build() -> nn.Module:
        network = build_network(recipe, bank.widths, [0], without=elsewhere)
        cast("PAMFN", network).fix(fixed)
        return network

    read = [name for name in bank.widths if name not in elsewhere] or [min(bank.widths, key=lambda n: bank.widths[n])]
    return Mould(
        build,
        bank.only(*read),
        leave=_below(truly),
        is_head=lambda name: name.startswith(("head.", "networks.head.")),
        vital=_temperatures if recipe.has_policy else None,
        verdict=_temperature_fault,
        room=room,
        cache=(lambda: FeatureCache(recipe, bank, truly, clips)) if clips else None,
        recordable=recipe.of.kind == "rows",
        objective=objective_of(recipe),
    )


def read_by_model(recipe: Recipe, bank: Bank) -> Bank:
    """Returns a bank of the streams that a recipe's model reads."""
    return bank.only(*recipe.streams(tuple(bank.widths)))


def truly_fixed(recipe: Recipe, bank: Bank) -> list[str]:
    """Returns the modalities whose branches phase 2 does not change in any way; a replica's state leaves them out."""
    if recipe.phases == "one" or recipe.fixed_branches != "fixed":
        return []
    return [name for name in recipe.streams(tuple(bank.widths)) if name not in recipe.fine_tuned]


def clips_to_keep(recipe: Recipe, replicas: Sequence[Replica], bank: Bank, room: int) -> int:
    """Returns for how many clips of a trial's replicas to keep the maps of fixed branches, in so many bytes; maybe 0.

    Args:
        recipe: The settings.
        replicas: All replicas of a trial.
        bank: The features.
        room: Bytes.
    """
    truly, lengths_V = truly_fixed(recipe, bank), bank.lengths_of_videos
    if not truly:
        return 0
    return cache_clips(recipe, truly, [Places(replica, lengths_V, recipe.clip) for replica in replicas], room)


def mould_settings(recipe: Recipe) -> Recipe:
    """Returns a recipe with all that may differ between the replicas of one program taken from the defaults."""
    defaults = Recipe()
    return replace(recipe, **{name: getattr(defaults, name) for name in ROW_SETTINGS})


def fusion_members(
    recipe: Recipe,
    replicas: Sequence[Replica],
    bank: Bank,
    branches: Mapping[str, Sequence[State]] | None,
    states: Sequence[State | None] | None = None,
    *,
    kept: bool = False,
) -> list[Member]:
    """Returns replicas of phase 2 where they start or go on.

    Args:
        recipe: The settings.
        replicas: One network for each.
        bank: The features; its modalities are the network's.
        branches: Pretrained branches: by modality, a state dict for each replica. None trains in one stage.
        states: What `Program.state` returned for each replica, or None for a fresh one.
        kept: Whether their program keeps the maps of truly fixed branches.

    Raises:
        ValueError: As `fusion_training`.
    """
    bank = read_by_model(recipe, bank)
    if (branches is None) != (recipe.phases == "one"):
        raise ValueError(f"phases: {recipe.phases!r} with {'no' if branches is None else 'given'} pretrained branches")
    if branches is not None and (missing := [name for name in bank.widths if name not in branches]):
        raise ValueError(f"branches: no pretrained branch for {', '.join(missing)}")
    members = []
    for i, replica in enumerate(replicas):
        mine = None if branches is None else {name: of[i] for name, of in branches.items()}
        state = None if states is None else states[i]
        members.append(_member(recipe, _reseeded(replica, recipe.reseed), bank, mine, state, kept=kept))
    return members


def _member(
    recipe: Recipe, replica: Replica, bank: Bank, branches: Branches | None, state: State | None, *, kept: bool
) -> Member:
    truly = truly_fixed(recipe, bank)
    fixed = {name: (branches or {})[name] for name in truly}
    elsewhere = _below(truly) if kept else ()
    if state is None:
        weights, moments, steps = _fresh(recipe, replica, bank, branches), dict[str, Tensor](), 0
    else:
        weights, moments, steps = parts_of(state)
        weights |= {f"branches.{name}.{own}": value for name, of in fixed.items() for own, value in of.items()}
    return Member(
        replica,
        _plan(recipe, replica),
        {name: value for name, value in weights.items() if not name.startswith(elsewhere)} if elsewhere else weights,
        moments,
        steps,
        nets=recipe.fusion_nets if recipe.has_fusion_nets else 1,
        standing=_standing(recipe, replica, bank, fixed) if kept else None,
    )


def _standing(recipe: Recipe, replica: Replica, bank: Bank, fixed: Branches) -> Standing:
    """Returns the fixed branches that a replica stands on, named by what they hold."""
    digest = hashlib.blake2b(replica.train.tobytes() + b"|" + replica.valid.tobytes(), digest_size=16)
    for name, state in sorted(fixed.items()):
        for own, value in sorted(state.items()):
            digest.update(f"{name}.{own}".encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())

    def branch(name: str) -> Branch:
        made = build_branch(recipe, name, bank.widths[name], 1)
        put(made, 0, fixed[name])
        return made.eval()

    return Standing(digest.hexdigest(), replica, {name: partial(branch, name) for name in fixed})


def _below(modalities: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"branches.{name}." for name in modalities)


def _fresh(recipe: Recipe, replica: Replica, bank: Bank, branches: Branches | None) -> dict[str, Tensor]:
    """Returns the weights that a network starts from, its pretrained branches in their places."""
    network = build_network(recipe, bank.widths, [derive(replica.seed, "fusion")])
    by_name = _branches_of(network)
    if branches is not None:
        install_branches(by_name, {name: [state] for name, state in branches.items()})
    else:
        readers = network.readers.values() if isinstance(network, Alone) else by_name.values()
        for reader in cast("Iterable[Reader]", readers):
            fit_standardise(reader, bank, [replica.train])
    return cut(network, 0)


def _branches_of(network: nn.Module) -> dict[str, Branch]:
    """Returns the branches that a network has, by modality."""
    return {name: cast("Branch", branch) for name, branch in cast("nn.ModuleDict", network.branches).items()}


def _reseeded(replica: Replica, reseed: int) -> Replica:
    """Returns a replica whose phase 2 draws other luck; its branches were pretrained under its own seed."""
    return replace(replica, seed=derive(replica.seed, "reseed", reseed)) if reseed else replica


def _plan(recipe: Recipe, replica: Replica) -> Plan:
    return Plan(
        epochs=recipe.epochs_of(replica.task),
        batch_size=recipe.batch_size,
        clip=recipe.clip,
        padding=recipe.padding,
        target=recipe.target,
        optimizer=recipe.optimizer,
        lr=recipe.lr * recipe.lr_scale,
        lr_floor=recipe.lr_floor * recipe.lr_scale,
        schedule=recipe.schedule,
        weight_decay=recipe.weight_decay,
        head_lr_scale=recipe.head_lr_scale,
        clip_norm=recipe.clip_norm,
        evaluation_noise=recipe.evaluation_noise,
    )


def _temperatures(network: nn.Module) -> Tensor:
    tau_R = cast("PAMFN", network).tau_R
    assert tau_R is not None  # a network with a policy
    return tau_R


def _temperature_fault(tau: float) -> str:
    """Returns why a temperature ends its replica: at 0 or below, Eq. 10 would turn the decision round."""
    return f"diverged: temperature {tau:g} is not above 0" if tau <= 0 else ""
