"""What fusing gains over single modalities at finding highlights, on planted ones: Table IX's rows at a CPU's size.

python benchmarks/highlights.py [--size highlights-tiny] [--seeds 3] [--epochs 40] [--control] [--json FILE]

One planted set; for every topic and seed the three branches are trained on the training split by phase 1 and PAMFN on
top of them by phase 2, as ``preset: highlights`` says but for width, K and epochs, which are options here and were not
chosen by these figures. Mean average precision on the test split at the last epoch, averaged over seeds and topics,
with 95% intervals over draws of the test videos; those of the gains are paired. Beside it what chance scores, and the
best that is reachable. In the control every modality shows what RGB shows, and there is nothing to gain.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pamfn.data.bank import Bank
from pamfn.data.features import FeatureSet
from pamfn.data.hidden import MODALITIES
from pamfn.data.planted_sizes import SIZES
from pamfn.data.synthetic import plant
from pamfn.highlights.average_precision import average_precisions, bootstrap_map
from pamfn.highlights.labels import HIGHLIGHTS
from pamfn.metrics import interval
from pamfn.phases.branches import branch_states, branch_training
from pamfn.phases.fusion import fusion_training
from pamfn.phases.replica import Replica, Task, whole_split
from pamfn.phases.training import Training
from pamfn.recipe import Recipe, recipe

FUSION, CHANCE = "fusion", "chance"
DRAWS = 4000

Precisions = dict[str, list[NDArray[np.float64]]]
"""By model, for each topic the average precision of every test video by every network, (seeds, videos)."""


def measure(features: FeatureSet, settings: Recipe, seeds: int) -> Precisions:
    """Trains the branches and the fusion of every topic and seed, and returns how well each ranks the test videos."""
    tasks = [Task(topic, topic, HIGHLIGHTS) for topic in sorted(set(features.actions))]
    replicas = whole_split(features, tasks, seeds=seeds, seed=0, trained_on="train", scored_on="test")
    bank, found, states = Bank.of(features), dict[str, list[NDArray[np.float64]]](), {}
    for modality in MODALITIES:
        training = branch_training(settings, modality, replicas, bank)
        found[modality] = _finished(training, bank)
        states[modality] = branch_states(training)
    found[FUSION] = _finished(fusion_training(settings, replicas, bank, states, room=1 << 28), bank)
    flat = [np.zeros(int(bank.lengths_of_videos[replica.valid].sum())) for replica in replicas]
    found[CHANCE] = _by_topic(flat, replicas, bank)
    return found


def _finished(training: Training, bank: Bank) -> list[NDArray[np.float64]]:
    list(training.run([1.0], score=False))
    return _by_topic(training.predict(), training.replicas, bank)


def _by_topic(
    predicted: Sequence[NDArray[np.float64]], replicas: Sequence[Replica], bank: Bank
) -> list[NDArray[np.float64]]:
    rows: dict[str, list[NDArray[np.float64]]] = {}
    for mine_S, replica in zip(predicted, replicas, strict=True):
        videos = np.split(mine_S, np.cumsum(bank.lengths_of_videos[replica.valid])[:-1])
        rows.setdefault(replica.task, []).append(average_precisions(videos, bank.matches_of(replica.valid)))
    return [np.stack(of_topic) for of_topic in rows.values()]


def told(found: Precisions, topics: Sequence[str]) -> dict[str, Any]:
    """Returns every model's mAP by topic and on average, and what the fusion gains over each, with intervals."""
    draws = {model: bootstrap_map(of, seed=0, draws=DRAWS) for model, of in found.items()}
    means = {model: [float(of_topic.mean()) for of_topic in of] for model, of in found.items()}
    average = {model: float(np.mean(of)) for model, of in means.items()}
    by_seed = {model: np.mean([of_topic.mean(1) for of_topic in of], axis=0).tolist() for model, of in found.items()}
    return {
        "map": {
            model: {
                **dict(zip(topics, means[model], strict=True)),
                "average": average[model],
                "interval": interval(draws[model]),
                "by_seed": by_seed[model],
            }
            for model in found
        },
        "gain": {
            modality: {
                "average": average[FUSION] - average[modality],
                "interval": interval(draws[FUSION] - draws[modality]),
            }
            for modality in MODALITIES
        },
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What fusing gains at finding planted highlights.")
    parser.add_argument(
        "--size", choices=[name for name, size in SIZES.items() if size.marked], default="highlights-tiny"
    )
    parser.add_argument("--data-seed", type=int, default=0, help="of the planted set")
    parser.add_argument("--seeds", type=int, default=3, help="networks a topic")
    parser.add_argument("--epochs", type=int, default=40, help="of either phase (the paper: 300)")
    parser.add_argument("--width", type=int, default=32, help="the paper: 256")
    parser.add_argument("--fusion-nets", type=int, default=4, metavar="K", help="the paper: 10")
    parser.add_argument("--control", action="store_true", help="without the structure that rewards fusion")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    arguments = parser.parse_args(argv)
    planted, began = plant(arguments.size, arguments.data_seed, arguments.control), time.perf_counter()
    settings = recipe(
        "highlights",
        width=arguments.width,
        fusion_nets=arguments.fusion_nets,
        epochs=arguments.epochs,
        phase1_epochs=arguments.epochs,
        clip=SIZES[arguments.size].segments[1],
    )
    topics = sorted(set(planted.features.actions))
    figures = told(measure(planted.features, settings, arguments.seeds), topics)
    content = {
        "settings": {name: str(value) for name, value in vars(arguments).items() if name != "json"},
        **figures,
        "best": {**planted.best, "average": float(np.mean(list(planted.best.values())))},
        "seconds": time.perf_counter() - began,
    }
    print("\n".join(lines(content, topics)))
    if arguments.json:
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")


def lines(content: dict[str, Any], topics: Sequence[str]) -> list[str]:
    """Returns the figures as a table, and the gains below."""
    columns = [*topics, "average"]
    table = [" " * 9 + "".join(f"{column:>12}" for column in columns) + "   95% over videos"]
    for model, row in content["map"].items():
        low, high = row["interval"]
        table.append(
            f"{model:9}" + "".join(f"{row[column]:12.3f}" for column in columns) + f"   [{low:.3f}, {high:.3f}]"
        )
    table.append(f"{'best':9}" + "".join(f"{content['best'][column]:12.3f}" for column in columns))
    for modality, gain in content["gain"].items():
        low, high = gain["interval"]
        table.append(f"{FUSION} over {modality}: {gain['average']:+.3f} [{low:+.3f}, {high:+.3f}]")
    return [*table, f"{content['seconds']:.0f} s"]


if __name__ == "__main__":
    main()
