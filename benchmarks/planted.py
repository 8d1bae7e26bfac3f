"""What planted data reward: fusing over single streams, following the context over a fixed fusion; and their control.

python benchmarks/planted.py [--size small] [--seeds 3] [--json FILE]

Closed-form readouts (``ridge``) on five folds of the training split, Spearman's correlation:

- each stream alone, and all together, from statistics pooled over the video: the best that a fixed fusion makes of it;
- ``adaptive``: from means over the segments of either context, as a linear readout of the streams tells the contexts;
- ``told``: the same with the hidden context itself. In the control, where no stream shows it, this is told what no
  model can know, and says only that the scores still hang on it.

A gain is the mean difference over classes and seeds, with its standard error; the single stream is the set's best.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from ridge import ALL, annotated_tasks, by_task, correlations, lines, pooled, predict_ridge

from pamfn.data.features import FeatureSet
from pamfn.data.hidden import MODALITIES
from pamfn.data.planted_sizes import SIZES
from pamfn.data.synthetic import Planted, plant
from pamfn.metrics import fisher_mean
from pamfn.phases.replica import Replica, cross_validation
from pamfn.seeding import generator

Array = NDArray[np.float64]
Table = dict[str, dict[str, float]]
SEGMENTS = 1000  # training segments from which the contexts are learned
GAINS = ("fusing", "adapting")


def readouts(planted: Planted, seed: int) -> Table:
    """Returns every readout's correlation for each class of a planted set, and the best reachable one."""
    table: Table = {}
    for action in sorted(set(planted.features.actions)):
        videos = planted.features.where(action=action, split="train")
        features = planted.features.subset(videos)
        context_S = planted.context[planted.features.rows(videos)]
        table |= _readouts_of_class(features, context_S, seed)
    for task, row in table.items():
        row["best"] = planted.best[task]
    return {
        **table,
        "average": {n: fisher_mean([row[n] for row in table.values()]) for n in next(iter(table.values()))},
    }


def _readouts_of_class(features: FeatureSet, context_S: Array, seed: int) -> Table:
    replicas = cross_validation(features, annotated_tasks(features), folds=5, seeds=1, seed=seed, grouped=False)
    streams_SD = np.concatenate([features.features[modality] for modality in MODALITIES], axis=1)
    inputs = {modality: pooled(features, modality) for modality in MODALITIES}
    inputs[ALL] = np.concatenate(list(inputs.values()), axis=1)
    told = correlations({"told": means_by_context(features, streams_SD, context_S)}, replicas)
    adaptive = []
    for replica in replicas:
        shown_S = shown_context(features, streams_SD, context_S, replica)
        adaptive += correlations({"": means_by_context(features, streams_SD, shown_S)}, [replica])[""]
    table = by_task({**correlations(inputs, replicas), "adaptive": adaptive, **told}, replicas)
    return {task: row for task, row in table.items() if task != "average"}


def means_by_context(features: FeatureSet, streams_SD: Array, context_S: Array) -> Array:
    """Returns each video's mean of all streams over the segments of either context, shape (V, 2 D)."""
    halves = []
    for sign in (1, -1):
        chosen_S = (context_S == sign).astype(np.float32)
        sums_VD = np.add.reduceat(streams_SD * chosen_S[:, None], features.offsets, axis=0)
        counts_V = np.add.reduceat(chosen_S, features.offsets)
        halves.append(sums_VD / np.maximum(counts_V, 1)[:, None])
    return np.concatenate(halves, axis=1).astype(np.float64)


def shown_context(features: FeatureSet, streams_SD: Array, context_S: Array, replica: Replica) -> Array:
    """Returns the context of every segment as a linear readout of the streams tells it, fitted on training videos."""
    rows = features.rows(replica.train)
    chosen = generator(replica.seed, "segments").choice(rows, size=min(SEGMENTS, len(rows)), replace=False)
    shown_S = predict_ridge(streams_SD[chosen].astype(np.float64), context_S[chosen], streams_SD)
    return np.where(shown_S > 0, 1.0, -1.0)


def gains(table: Table) -> Iterator[tuple[str, float]]:
    """Yields what fusing gains over the set's best single stream, and adapting over fusing, for every class."""
    single = max(MODALITIES, key=lambda modality: table["average"][modality])
    for task, row in table.items():
        if task != "average":
            yield "fusing", row[ALL] - row[single]
            yield "adapting", row["adaptive"] - row[ALL]


def measure(size: str, seeds: int, control: bool) -> tuple[Table, dict[str, tuple[float, float]]]:
    """Returns the average table over seeds, and the mean and standard error of the gains over classes and seeds."""
    tables = [readouts(plant(size, seed, control), seed) for seed in range(seeds)]
    average = {
        task: {name: fisher_mean([table[task][name] for table in tables]) for name in row}
        for task, row in tables[0].items()
    }
    found = [gain for table in tables for gain in gains(table)]
    values = {kind: np.array([value for name, value in found if name == kind]) for kind in GAINS}
    return average, {k: (float(v.mean()), float(v.std(ddof=1) / np.sqrt(len(v)))) for k, v in values.items()}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What planted data and their control reward.")
    parser.add_argument("--size", choices=tuple(SIZES), default="small")
    parser.add_argument("--seeds", type=int, default=3, help="sets to draw")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    arguments = parser.parse_args(argv)
    content = {}
    for kind in ("planted", "control"):
        table, found = measure(arguments.size, arguments.seeds, kind == "control")
        content[kind] = {"table": table, "gains": {k: {"mean": m, "error": e} for k, (m, e) in found.items()}}
        print(f"{kind}, size {arguments.size}, {arguments.seeds} sets")
        print("\n".join(lines(table)))
        print(", ".join(f"{k} gains {mean:+.3f} (standard error {error:.3f})" for k, (mean, error) in found.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
