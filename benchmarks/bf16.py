"""What bf16 activations do to the scores: the same networks trained in float32 and in bf16.

python benchmarks/bf16.py [--width 16] [--seeds 3] [--epochs 27] [--device cpu] [--json FILE]

Planted data of two classes, two folds by athlete, as the quick start has them; both sides start from the same weights
on the same branches, pretrained in float32, and see the same clips and the same noise. The figure is the mean
difference of the held-out Spearman correlations (Fisher's z) over the networks, with a 95% bootstrap interval; beside
it stands how far float32 itself is from float32 with another seed, which is what a difference has to be compared with.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from pamfn.data.bank import Bank
from pamfn.data.synthetic import generate
from pamfn.metrics import fisher_mean
from pamfn.phases.branches import branch_states, branch_training
from pamfn.phases.fusion import fusion_training
from pamfn.phases.memory import keep_freed_memory
from pamfn.phases.replica import Task, cross_validation
from pamfn.recipe import recipe

RESAMPLES = 10_000


def scores_of(arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Returns the held-out correlations of every network, by how it was trained."""
    features, _ = generate("tiny", 0)
    data = features.subset(features.where(split="train"))
    bank = Bank.of(data, arguments.device)
    settings = recipe(
        width=arguments.width, fusion_nets=4, clip=24, batch_size=16, epochs=arguments.epochs, phase1_epochs=15, lr=5e-3
    )
    tasks = [Task(action, action, "total") for action in dict.fromkeys(data.actions)]
    replicas = cross_validation(data, tasks, folds=2, seeds=arguments.seeds, seed=0, grouped=True)
    branches = {}
    for modality in bank.widths:
        training = branch_training(settings, modality, replicas, bank)
        list(training.run([1.0], score=False))
        branches[modality] = branch_states(training)
    found = {}
    for name, luck, precision in (("float32", 0, "float32"), ("bf16", 0, "bf16"), ("another seed", 1, "float32")):
        training = fusion_training(replace(settings, reseed=luck), replicas, bank, branches, precision=precision)
        (report,) = training.run([1.0])
        if any(report.ended):
            raise SystemExit(f"{name}: {next(filter(None, report.ended))}")
        found[name] = report.scores
    return found


def difference(one: Sequence[float], other: Sequence[float]) -> dict[str, float]:
    """Returns the mean difference of paired correlations on Fisher's z scale, and its 95% bootstrap interval."""
    apart = np.arctanh(np.clip(one, -0.999, 0.999)) - np.arctanh(np.clip(other, -0.999, 0.999))
    draws = np.random.default_rng(0).integers(len(apart), size=(RESAMPLES, len(apart)))
    low, high = np.quantile(apart[draws].mean(1), [0.025, 0.975])
    return {"mean": float(apart.mean()), "low": float(low), "high": float(high), "each": float(np.abs(apart).mean())}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What bf16 activations do to the scores.")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=27)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    keep_freed_memory()
    found = scores_of(arguments)
    rows = [
        {
            "trained": name,
            "average": fisher_mean(scores),
            "networks": len(scores),
            **difference(scores, found["float32"]),
        }
        for name, scores in found.items()
    ]
    for row in rows:
        print(
            f"{row['trained']:>12}: average {row['average']:.3f} of {row['networks']} networks; from float32 (z) "
            f"{row['mean']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}], a network {row['each']:.3f} either way"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
