"""Closed-form ridge regression on pooled features: the floor that a trained network has to beat, on the same folds.

python benchmarks/ridge.py --data shards/speech --group
python benchmarks/ridge.py --data shards/speech --official

A video is the mean, standard deviation, maximum and minimum of each feature over its segments, standardised with the
training videos' statistics; the penalty is the one with the least generalised cross-validation error on them. Figures
are Spearman's correlations on the held-out videos, for every stream alone and for all together: a class's is the
Fisher-z mean over its folds, the average that over classes. Folds are those of a study of the same data, folds and
seed. `--official` trains on the training split and scores the test split.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pamfn.data.faults import ShardError
from pamfn.data.features import FeatureSet
from pamfn.data.shards import read_shards
from pamfn.metrics import fisher_mean, spearman
from pamfn.phases.replica import Replica, Task, cross_validation, whole_split
from tuning.tasks import tasks_of

Array = NDArray[np.float64]
PENALTIES = np.logspace(-2, 6, 33)  # of standardised features; four to a decade
ALL = "all"


def pooled(features: FeatureSet, modality: str) -> Array:
    """Returns each video's mean, standard deviation, maximum and minimum of a stream, shape (V, 4 D)."""
    values_SD = features.features[modality]
    videos = [
        values_SD[first : first + length].astype(np.float64)
        for first, length in zip(features.offsets, features.lengths, strict=True)
    ]
    return np.stack([np.concatenate([x.mean(0), x.std(0), x.max(0), x.min(0)]) for x in videos])


def predict_ridge(train_ND: Array, target_N: Array, held_out_LD: Array) -> Array:
    """Returns predictions for held-out videos by the ridge regression of least generalised cross-validation error.

    Args:
        train_ND: Features of N training videos.
        target_N: Their scores.
        held_out_LD: Features of L held-out videos.
    """
    mean_D, deviation_D = train_ND.mean(0), train_ND.std(0)
    varies = deviation_D > 1e-9
    x_ND = (train_ND - mean_D)[:, varies] / deviation_D[varies]
    left_NP, singular_P, right_PD = np.linalg.svd(x_ND, full_matrices=False)
    centred_N = target_N - target_N.mean()
    along_P = left_NP.T @ centred_N
    kept_LP = singular_P**2 / (singular_P**2 + PENALTIES[:, None])  # one row a penalty L
    residual_L = np.square(centred_N - (kept_LP * along_P) @ left_NP.T).mean(1)
    freedom_L = kept_LP.sum(1) + 1  # the mean is fitted, too
    best = int(np.argmin(residual_L / (1 - np.minimum(freedom_L / len(target_N), 1 - 1e-9)) ** 2))
    weights_D = right_PD.T @ (singular_P / (singular_P**2 + PENALTIES[best]) * along_P)
    return np.asarray((held_out_LD - mean_D)[:, varies] / deviation_D[varies] @ weights_D + target_N.mean())


def correlations(inputs: Mapping[str, Array], replicas: Sequence[Replica]) -> dict[str, list[float]]:
    """Returns for every input the correlation on each replica's held-out videos.

    Args:
        inputs: By name, features of all videos, shape (V, D).
        replicas: Whose training and held-out videos to take.
    """
    return {
        name: [
            spearman(predict_ridge(x_VD[r.train], r.scores_V[r.train], x_VD[r.valid]), r.scores_V[r.valid])
            for r in replicas
        ]
        for name, x_VD in inputs.items()
    }


def by_task(figures: Mapping[str, Sequence[float]], replicas: Sequence[Replica]) -> dict[str, dict[str, float]]:
    """Returns the Fisher-z mean of every input for each class, and their Fisher-z mean as ``average``."""
    tasks = list(dict.fromkeys(r.task for r in replicas))
    table = {
        task: {
            name: fisher_mean([value for value, r in zip(values, replicas, strict=True) if r.task == task])
            for name, values in figures.items()
        }
        for task in tasks
    }
    return {**table, "average": {name: fisher_mean([table[task][name] for task in tasks]) for name in figures}}


def measure(
    features: FeatureSet, *, folds: int, seed: int, grouped: bool, official: bool
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Returns the table of classes, and every single correlation by replica."""
    tasks = annotated_tasks(features)
    if official:
        replicas = whole_split(features, tasks, seeds=1, seed=seed, trained_on="train", scored_on="test")
    else:
        replicas = cross_validation(features, tasks, folds=folds, seeds=1, seed=seed, grouped=grouped)
    inputs = {modality: pooled(features, modality) for modality in features.features}
    inputs[ALL] = np.concatenate(list(inputs.values()), axis=1)
    figures = correlations(inputs, replicas)
    single = {r.name: {name: values[i] for name, values in figures.items()} for i, r in enumerate(replicas)}
    return by_task(figures, replicas), single


def annotated_tasks(features: FeatureSet) -> list[Task]:
    """Returns the tasks of a study over everything that is annotated."""
    tasks = tasks_of(sorted(set(features.actions)), list(features.scores))
    return [task for task in tasks if task.score in features.annotated(task.action)]


def lines(table: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Returns the table as aligned text."""
    columns = list(next(iter(table.values())))
    width = max(len(name) for name in [*table, "class"]) + 2
    head = "class".ljust(width) + "".join(name.rjust(10) for name in columns)
    rows = (task.ljust(width) + "".join(f"{row[name]:10.3f}" for name in columns) for task, row in table.items())
    return [head, *rows]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Ridge regression on pooled features, on the folds of a study.")
    parser.add_argument("--data", required=True, metavar="DIR", help="folder of shards")
    parser.add_argument("--folds", type=int, default=5, help="folds inside the training split")
    parser.add_argument("--seed", type=int, default=0, help="the study's seed")
    parser.add_argument("--group", action="store_true", help="never split a group over folds")
    parser.add_argument("--official", action="store_true", help="train on the training split, score the test split")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    arguments = parser.parse_args(argv)
    if arguments.official and arguments.group:
        parser.error("--group: cuts folds, and --official has none")
    protocol: dict[str, Any] = {"folds": arguments.folds, "seed": arguments.seed, "grouped": arguments.group}
    try:
        features = read_shards(arguments.data, splits=("train", "test") if arguments.official else ("train",))
        table, single = measure(features, **protocol, official=arguments.official)
    except (ShardError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    print("\n".join(lines(table)))
    if arguments.json:
        protocol = {"official": True} if arguments.official else protocol
        content = {"data": features.schema.digest, "protocol": protocol, "table": table, "replicas": single}
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
