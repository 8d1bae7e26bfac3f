"""The bytes that a study writes: checkpoints while it runs, what MLflow keeps, branches, final networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from pamfn.architectures import outline
from pamfn.data.planted_sizes import SIZES
from pamfn.model.network import PAMFN
from pamfn.recipe import Recipe
from pamfn.replicas.cut import entries
from tuning.forecast.artefacts import FLOAT, Artefacts, set_bytes
from tuning.forecast.machine import free_disk, standing
from tuning.forecast.work import Networks
from tuning.planted import planted_are_at
from tuning.sections import Synthetic
from tuning.study import Study
from tuning.tracking.location import artifact_folder

MOMENTS = {"adamw": 2, "sgd": 1}  # numbers that the optimiser keeps for each trained weight
CHECKPOINTS = 2  # of a trial that runs or waits; the last but one goes when the next is complete
SNAPSHOTS = 2  # of the weights in a checkpoint: the last ones and the best ones
COPIES = 2  # of the final networks: the study's own, and MLflow's logged model


@dataclass(frozen=True)
class TrialBytes:
    """What one trial writes.

    Args:
        networks: Its networks.
        kept: Numbers of one network's checkpoint; fixed branches are not among them.
        trained: Numbers of it that are trained.
        weights: Bytes of its weights, the last ones and the best ones: what MLflow keeps.
        running: Bytes of its checkpoints while it runs or waits, moments included.
    """

    networks: int
    kept: int
    trained: int
    weights: int
    running: int


@dataclass(frozen=True)
class Place:
    """A file system, and what is to go there.

    Args:
        folder: The folder on it.
        needed: Bytes that a study may write there.
        free: Bytes that are free there; None where nobody knows.
    """

    folder: str
    needed: int
    free: int | None

    @property
    def fits(self) -> bool:
        """Whether there is room."""
        return self.free is None or self.needed <= self.free


@dataclass(frozen=True)
class Disk:
    """The bytes of a whole study.

    Args:
        trial: One trial.
        running: Checkpoints of the trials that run at once.
        waiting: Checkpoints of the most trials that wait for promotion at once.
        logged: Weights in MLflow, all trials that it keeps.
        branches: Branch artefacts yet to be trained, for trials and final networks.
        final: Final networks and MLflow's copies of them.
        data: Planted data yet to be made.
        places: File systems of this machine that all of it goes to; MLflow's is not here where a server keeps it.
    """

    trial: TrialBytes
    running: int
    waiting: int
    logged: int
    branches: int
    final: int
    data: int
    places: tuple[Place, ...]


def disk_of(
    study: Study,
    recipe: Recipe,
    networks: Networks,
    *,
    concurrent: int,
    waiting: int,
    finished: int,
    trials: int,
    artefacts: Artefacts,
    finals: Networks,
    candidates: int,
) -> Disk:
    """Returns the bytes of a study.

    Args:
        study: The study.
        recipe: The configuration of most bytes.
        networks: The networks of a trial.
        concurrent: Trials that run at once.
        waiting: Most trials that wait for promotion at once.
        finished: Trials that run their full budget, at most.
        trials: All trials.
        artefacts: The branches that trials need.
        finals: The networks of one configuration of the final stage.
        candidates: Configurations of the final stage, at most.
    """
    trial = trial_bytes(recipe, networks)
    kept = {"all": trials, "finished": finished, "top": 0}[study.space.tracking.checkpoints]
    whole = sum(tensor.numel() for _, _, _, tensor in entries(outline(recipe, networks.widths)))
    branches = set_bytes(recipe, finals) if artefacts.sets else 0
    final = candidates * COPIES * (FLOAT * len(finals.replicas) * whole + branches)
    bytes_of = {
        "running": concurrent * trial.running,
        "waiting": waiting * trial.running,
        "logged": kept * trial.weights,
        "branches": int(artefacts.missing * artefacts.size) + candidates * branches,
        "final": final,
        "data": planted_bytes(study),
    }
    return Disk(trial, **bytes_of, places=_places(study, bytes_of))


def trial_bytes(recipe: Recipe, networks: Networks) -> TrialBytes:
    """Returns what one trial writes."""
    count = len(networks.replicas)
    kept, trained = network_size(recipe, networks.widths)
    weights = SNAPSHOTS * FLOAT * count * kept
    running = CHECKPOINTS * (weights + FLOAT * count * trained * MOMENTS[recipe.optimizer])
    return TrialBytes(count, kept, trained, weights, running)


def network_size(recipe: Recipe, widths: Mapping[str, int]) -> tuple[int, int]:
    """Returns the numbers that one network's checkpoint holds (fixed branches are not in it), and those trained."""
    network = outline(recipe, widths)
    fixed = [name for name in widths if recipe.phases == "two" and name not in recipe.fine_tuned]
    left_out = tuple(f"branches.{name}." for name in fixed if recipe.fixed_branches == "fixed")
    cast("PAMFN", network).fix(fixed)  # every model has this method
    kept = sum(tensor.numel() for name, _, _, tensor in entries(network) if not name.startswith(left_out))
    return kept, sum(weight.numel() for weight in network.parameters() if weight.requires_grad)


def planted_bytes(study: Study) -> int:
    """Returns about the bytes of planted data that are yet to be made: float16, before compression."""
    planted = study.space.data.synthetic
    if planted is None or planted_are_at(study.data):
        return 0
    return _bytes_of(planted)


def _bytes_of(planted: Synthetic) -> int:
    size = SIZES[planted.size]
    segments = len(size.actions) * (size.train + size.test) * sum(size.segments) // 2
    return 2 * segments * sum(size.widths)


def _places(study: Study, bytes_of: Mapping[str, int]) -> tuple[Place, ...]:
    """Returns the file systems that a study writes to, each once."""
    copies = bytes_of["final"] // COPIES
    own = sum(bytes_of[name] for name in ("running", "waiting", "branches", "data")) + bytes_of["final"] - copies
    needed = {study.root: own}
    if mlflow := artifact_folder(study.tracking_uri, study.storage):
        needed[mlflow] = bytes_of["logged"] + copies
    return tuple(_by_file_system(needed))


def _by_file_system(needed: Mapping[str, int]) -> Sequence[Place]:
    places: dict[object, Place] = {}
    for folder, size in needed.items():
        device = standing(folder).stat().st_dev if "://" not in folder else folder
        before = places.get(device)
        first = folder if before is None else before.folder
        places[device] = Place(first, size + (before.needed if before else 0), free_disk(folder))
    return list(places.values())
