"""The networks of the final stage: trained on the whole training split, the test split scored at every milestone.

What the test split says on the way influences nothing: it is kept for the released protocol's number, the best epoch.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from pamfn.model.network import build_branch
from pamfn.phases.closed import ClosedTraining
from pamfn.phases.fusion import read_by_model, training_of
from pamfn.phases.memory import replicas_at_once
from pamfn.phases.replica import Replica, whole_split
from pamfn.phases.saved import SavedNetworks, load_networks, save_networks
from pamfn.phases.training import Training
from pamfn.recipe import Recipe
from pamfn.replicas.cut import put
from tuning.branches import BranchStore
from tuning.divergence import first_fault
from tuning.precision import set_determinism, set_precision
from tuning.pretraining import Pretraining
from tuning.selection.choosing import Candidate
from tuning.study import Study
from tuning.study_data import split_data

BRANCHES, CURVE = "branches.safetensors", "test_curve.json"

States = Sequence[Mapping[str, torch.Tensor]]


def folder_of(study: Study, candidate: Candidate) -> Path:
    """Returns where a candidate's final networks are kept."""
    return study.folder / "final" / candidate.trial_id


def train_final(study: Study, candidate: Candidate) -> float:
    """Trains a candidate on the whole training split over the study's final seeds; keeps networks and test curve.

    Networks that are already there are not trained again.

    Returns:
        Seconds it took.

    Raises:
        ValueError: If a network diverged; the message names it.
    """
    begin, folder = time.monotonic(), folder_of(study, candidate)
    recipe = study.space.recipe(candidate.config)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    set_determinism(study.space.resources.deterministic)
    set_precision(device, study.space.resources.precision)
    contents, bank = split_data(study, ("train", "test"), device.type)
    bank = read_by_model(recipe, bank)
    seeds: dict[str, Any] = {"seeds": study.space.final.seeds, "seed": study.seed, "trained_on": "train"}
    replicas = whole_split(contents, study.tasks, **seeds, scored_on="test")
    study.kept.fetch_folder(folder)
    if _is_trained(folder, recipe, [replica.name for replica in replicas]):
        return 0.0
    branches: Mapping[str, States] | None = None
    if recipe.phases == "two":  # without the test split: a branch in the store says how it does on its held-out videos
        unscored = whole_split(contents, study.tasks, **seeds, scored_on=None)
        branches, _ = Pretraining(recipe, unscored, bank, contents, BranchStore(study.branch_store)).branches()
    room = replicas_at_once(recipe, bank.widths, len(replicas), bank.device)
    milestones, states, targets, curves = study.milestones(recipe), [], [], []
    for first in range(0, len(replicas), room):
        some = slice(first, first + room)
        mine = None if branches is None else {m: s[some] for m, s in branches.items()}
        training = training_of(recipe, replicas[some], bank, mine)
        curves += _test_curves(training, replicas[some], milestones, candidate)
        states += [{n: v.cpu() for n, v in training.whole(r).items()} for r in range(len(training.replicas))]
        targets += training.targets
    networks = SavedNetworks(recipe, dict(bank.widths), [r.name for r in replicas], targets, states)
    (folder / CURVE).unlink(missing_ok=True)  # that of other networks, if a journal was cut and the id is another's
    save_networks(folder, networks)
    _save_branches(folder / BRANCHES, branches or {})
    _save_curve(folder / CURVE, networks.names, milestones, curves)
    study.kept.keep_folder(folder, replace=True)
    return time.monotonic() - begin


def _test_curves(
    training: Training | ClosedTraining, replicas: Sequence[Replica], milestones: Sequence[float], candidate: Candidate
) -> list[list[float]]:
    """Trains to the end; returns each network's test correlation at every milestone."""
    reports = []
    for report in training.run(milestones):
        if fault := first_fault([replica.name for replica in replicas], report.ended):
            raise ValueError(f"final training of trial {candidate.trial_id}: {fault}")
        reports.append(report.scores)
    return [list(curve) for curve in zip(*reports, strict=True)]


def _is_trained(folder: Path, recipe: Recipe, names: Sequence[str]) -> bool:
    """Tells whether a folder holds these networks, of this recipe; their curve is written last."""
    try:
        curve, networks = read_curve(folder), load_networks(folder)
        return list(curve["scores"]) == list(names) == networks.names and networks.recipe == recipe
    except (OSError, ValueError, KeyError):
        return False


def read_curve(folder: Path) -> dict[str, Any]:
    """Returns the ``milestones``, shares of the budget, and the ``scores`` of each network at them by its name."""
    curve: dict[str, Any] = json.loads((folder / CURVE).read_text(encoding="utf-8"))
    return curve


def _save_curve(path: Path, names: Sequence[str], milestones: Sequence[float], curves: Sequence[list[float]]) -> None:
    content = {"milestones": list(milestones), "scores": dict(zip(names, curves, strict=True))}
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content), encoding="utf-8")
    temporary.replace(path)


def _save_branches(path: Path, branches: Mapping[str, States]) -> None:
    from safetensors.torch import save_file

    tensors = {f"{m}/{i}/{n}": v for m, states in branches.items() for i, s in enumerate(states) for n, v in s.items()}
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary)
    temporary.replace(path)


def load_branches(folder: Path, networks: SavedNetworks) -> Iterator[tuple[str, torch.nn.Module]]:
    """Yields the pretrained branches of a candidate's networks by modality, stacked as these are."""
    from safetensors.torch import load_file

    tensors = load_file(folder / BRANCHES)
    for modality in dict.fromkeys(name.split("/", 1)[0] for name in tensors):
        branch = build_branch(networks.recipe, modality, networks.widths[modality], len(networks.names))
        for replica in range(len(networks.names)):
            prefix = f"{modality}/{replica}/"
            put(branch, replica, {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)})
        yield modality, branch.eval()
