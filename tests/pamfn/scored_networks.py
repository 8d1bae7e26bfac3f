"""Checkpoints of any model of the catalogue, trained for a moment, and what an evaluation says of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pamfn.catalogue import model_of
from pamfn.data.bank import Bank
from pamfn.data.features import FeatureSet
from pamfn.data.shards import read_shards, write_shards
from pamfn.data.synthetic import generate
from pamfn.phases.fusion import read_by_model, training_of
from pamfn.phases.replica import Task, whole_split
from pamfn.phases.saved import SavedNetworks, save_networks
from pamfn.phases.scoring import predict
from pamfn.recipe import recipe
from pamfn.serving.tasks import save_tasks

C = 25.0  # the largest score of planted data
ROUNDING = 1e-6 * C  # what another batch, with other videos beside it, may change of a score


@dataclass(frozen=True)
class Checkpoint:
    """Networks of two seeds for each class of planted shards.

    Args:
        folder: Where they are.
        shards: Where the data are.
        networks: The networks.
        features: The test split.
        evaluated: What each network says of each of its test videos in an evaluation, by network and video.
    """

    folder: Path
    shards: Path
    networks: SavedNetworks
    features: FeatureSet
    evaluated: dict[str, dict[str, float]]

    def mean(self, video: str) -> float:
        """Returns what the networks of a video's class say of it on average."""
        return float(np.mean([of[video] for of in self.evaluated.values() if video in of]))

    def clip(self, video: str) -> dict[str, list[list[float]]]:
        """Returns a video's features as a request gives them."""
        at = self.features.video_ids.index(video)
        rows: NDArray[np.int64] = self.features.rows([at])
        return {name: self.features.features[name][rows].tolist() for name in self.networks.widths}


def planted(folder: Path) -> Path:
    """Writes planted shards of two classes."""
    write_shards(generate("tiny", 0, False)[0], folder)
    return folder


def checkpoint(folder: Path, shards: Path, model: str = "pamfn") -> Checkpoint:
    """Trains two networks of every class for a moment, in one stage, and evaluates them as a final stage does."""
    everything, test = read_shards(shards), read_shards(shards, splits=["test"])
    (score,) = everything.scores
    tasks = [Task(action, action, score) for action in sorted(set(everything.actions))]
    size = {"width": 8, "fusion_nets": 3, "clip": 16, "batch_size": 16, "epochs": 1}
    asked = recipe(model=model, phases="one", **({} if model_of(model).kind == "closed" else {"lr": 5e-3}), **size)
    bank = read_by_model(asked, Bank.of(everything))
    replicas = whole_split(everything, tasks, seeds=2, seed=0, trained_on="train", scored_on="test")
    training = training_of(asked, replicas, bank, None)
    list(training.run([1.0]))
    states = [training.whole(row) for row in range(len(replicas))]
    networks = SavedNetworks(asked, dict(bank.widths), [r.name for r in replicas], training.targets, states)
    save_networks(folder, networks)
    save_tasks(folder, tasks)
    judged = whole_split(test, tasks, seeds=2, seed=0, trained_on=None, scored_on="test")
    found = predict(networks.network(), Bank.of(test), [replica.valid for replica in judged])
    evaluated = {
        replica.name: dict(zip([test.video_ids[v] for v in replica.valid], target.decode(mine).tolist(), strict=True))
        for replica, target, mine in zip(judged, networks.targets, found, strict=True)
    }
    return Checkpoint(folder, shards, networks, test, evaluated)
