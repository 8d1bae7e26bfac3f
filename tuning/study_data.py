"""The data of a study in a worker: the training split as a bank, read once a process, cut into replicas."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch

from pamfn.data.bank import Bank
from pamfn.data.features import Contents, FeatureSet
from pamfn.data.shards import read_shards
from pamfn.phases.replica import Replica, cross_validation
from tuning.study import Study


@dataclass(frozen=True, eq=False)
class StudyData:
    """Videos in memory, and who trains on which.

    Args:
        contents: What is known of the videos.
        bank: Their features on the device.
        replicas: The networks of a trial.
    """

    contents: Contents
    bank: Bank
    replicas: list[Replica]


def training_data(study: Study, device: str) -> StudyData:
    """Returns the training split of a study and its folds; the test split is not read.

    Raises:
        ValueError: If the shards changed since the study started.
    """
    features, bank = split_data(study, ("train",), device)
    return StudyData(features, bank, replicas_of(study, features))


def replicas_of(study: Study, training: Contents) -> list[Replica]:
    """Returns the networks of a trial: classes, then folds of the training videos, then seeds."""
    evaluation = study.space.evaluation
    return cross_validation(
        training,
        study.tasks,
        folds=evaluation.folds,
        seeds=evaluation.seeds,
        seed=study.seed,
        grouped=evaluation.group is not None,
    )


def split_data(study: Study, splits: tuple[str, ...], device: str) -> tuple[FeatureSet, Bank]:
    """Returns the videos of some official splits, and their features on a device; read once a process.

    Raises:
        ValueError: If the shards changed since the study started.
    """
    return _bank(study.data, study.digest, _actions(study), study.modalities, splits, device)


def _actions(study: Study) -> tuple[str, ...]:
    return tuple(dict.fromkeys(task.action for task in study.tasks))


@lru_cache(maxsize=1)
def _bank(
    location: str,
    digest: str,
    actions: tuple[str, ...],
    modalities: tuple[str, ...],
    splits: tuple[str, ...],
    device: str,
) -> tuple[FeatureSet, Bank]:
    features = read_shards(location, actions=actions, modalities=modalities, splits=splits)
    if features.schema.digest != digest:
        raise ValueError(
            f"{location}: the data has digest {features.schema.digest[:12]}, the study began with {digest[:12]}"
        )
    return features, Bank.of(features, torch.device(device))
