"""Sixty configurations that are equal by construction: does the final stage's report find out that none is better?

python benchmarks/equal.py [--storage studies] [--tracking-uri URI] [--videos 4000] [--set KEY=VALUE ...]

Launches ``equal.yaml``, or reads it where it has run. Then the final networks score fresh planted videos of the same
hidden process, thousands of them: the mean over the networks of all configurations is the truth of each, since they
differ in nothing but luck. Held against it are the report's intervals, its claim of a winner, and the released
protocol's number, the best epoch on the test split. The mean validation score of all trials is the truth of each one's,
and what the report makes of the best one's without its luck is held against that.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

from pamfn.data.bank import Bank
from pamfn.data.planted_sizes import SIZES
from pamfn.data.synthetic import plant
from pamfn.metrics import fisher_mean, spearman
from pamfn.phases.replica import Task, whole_split
from pamfn.phases.saved import load_networks
from pamfn.phases.scoring import predict
from tuning.selection.judging import RESULTS
from tuning.selection.words import configurations, luck_words, optimistic_verdict, verdict
from tuning.study_file import read_record

NAME, POPULATION = "equal", "population"


def launch(arguments: argparse.Namespace) -> None:
    words = ["--space", "equal.yaml", "--name", NAME, "--storage", str(arguments.storage)]
    words += ["--tracking-uri", arguments.tracking_uri, *(w for change in arguments.set for w in ("--set", change))]
    subprocess.run([sys.executable, "-m", "tuning.launch", *words], check=True)


def true_scores(folder: Path, videos: int) -> dict[str, dict[str, list[float]]]:
    """Returns for each trained configuration the correlations of its networks on fresh videos, by class."""
    record = read_record(str(folder))
    assert record is not None
    space, tasks = record["space"], [Task(**task) for task in record["tasks"]]
    planted = space["data"]["synthetic"]
    actions = tuple(dict.fromkeys(task.action for task in tasks))
    SIZES[POPULATION] = replace(SIZES[planted["size"]], actions=actions, train=5, test=videos)
    features = plant(POPULATION, planted["seed"], planted["control"]).features
    bank = Bank.of(features, torch.device("cpu"))
    seeds, seed = space["final"]["seeds"], space["seed"]
    replicas = whole_split(features, tasks, seeds=seeds, seed=seed, trained_on=None, scored_on="test")
    found: dict[str, dict[str, list[float]]] = {}
    for trained in sorted((folder / "final").iterdir()):
        network = load_networks(trained).network("cpu")
        scores = predict(network, bank, [replica.valid for replica in replicas])
        for replica, mine in zip(replicas, scores, strict=True):
            value = spearman(mine, replica.scores_V[replica.valid])
            found.setdefault(trained.name, {}).setdefault(replica.task, []).append(value)
    return found


def rows_of(final: Mapping[str, Any], truth: Mapping[str, float]) -> Iterator[list[str]]:
    """Yields what the report says of every configuration, by class and on average, beside the truth."""
    for row in configurations(final):
        fusion, optimistic, gaps = row["models"]["fusion"], row["optimistic"], row["difference"]
        for task, true in truth.items():
            value, best, gap = (
                part and (part["average"] if task == "average" else part["classes"][task])
                for part in (fusion, optimistic, gaps)
            )
            yield [
                row["trial_id"] if task == "average" else "",
                task,
                f"{true:.3f}",
                f"{value['spearman']:.3f} [{value['low']:.3f}, {value['high']:.3f}]",
                "yes" if value["low"] <= true <= value["high"] else "NO",
                f"{gap['spearman']:+.3f} [{gap['low']:+.3f}, {gap['high']:+.3f}]" if gap else "the reference",
                f"{best['spearman']:.3f}",
                f"{best['by']:+.3f}",
                f"{best['spearman'] - true:+.3f}",
            ]


HEAD = ("trial", "class", "truth", "report", "covers", "over the first", "best epoch", "said to flatter by", "does by")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="A study of equal configurations, held against the truth.")
    parser.add_argument("--storage", type=Path, default=Path("studies"), help="where studies are kept")
    parser.add_argument("--tracking-uri", default="sqlite:///mlflow.db", help="where MLflow keeps runs")
    parser.add_argument("--videos", type=int, default=4000, help="fresh videos a class that tell the truth")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the space file")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    folder = arguments.storage.resolve() / NAME
    if not (folder / RESULTS).exists():
        launch(arguments)
    final = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    scores = true_scores(folder, arguments.videos)
    tasks = list(next(iter(scores.values())))
    every = {task: [r for mine in scores.values() for r in mine[task]] for task in tasks}
    truth = {"average": fisher_mean([r for mine in every.values() for r in mine])}
    truth |= {task: fisher_mean(mine) for task, mine in every.items()}
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    for row in rows_of(final, truth):
        print("| " + " | ".join(row) + " |")
    own = {trial: fisher_mean([r for each in mine.values() for r in each]) for trial, mine in scores.items()}
    spread = float(np.std(list(own.values()), ddof=1))
    print(f"\nthe configurations' own networks on fresh videos: deviation {spread:.3f} between configurations")
    table = pq.read_table(folder / "results.parquet", columns=["val_spearman"])
    print(f"mean validation score of all {table.num_rows} trials: {fisher_mean(table['val_spearman'].to_pylist()):.3f}")
    for words in (verdict(final), optimistic_verdict(final), luck_words(final["selection"]["luck"])):
        print(f"report: {words}")


if __name__ == "__main__":
    main()
