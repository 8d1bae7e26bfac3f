"""What a study saves by training the first folds of a configuration ahead of the others, and what it loses.

python benchmarks/folds.py [--width 32] [--configurations 30] [--orders 200] [--json FILE]

Random configurations, learning rates far too small and far too large among them, on one class of planted data with five
folds. Each is trained to its full budget with all folds together, and again to the first rung in two parts; the seconds
of the process are taken of every stretch. Then studies are replayed from these: the configurations arrive in a random
order, one trial at a time, and ASHA (``tuning.search.rungs``) and the rule on first folds (``tuning.search.folds``)
decide as they would have. A study is compared with the one that trains all folds together in the same order.

Branches are pretrained beforehand and not counted. Use one thread: OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from pamfn.metrics import fisher_mean
from tuning.planted import ensure_planted
from tuning.region import Region
from tuning.request import parse, requested_study
from tuning.search.folds import Bar, FirstFolds
from tuning.search.rungs import Rungs
from tuning.sections import Synthetic
from tuning.study import Study
from tuning.trial import Trial

FOLDS, REDUCTION = 5, 3
SETS = (
    *("data.synthetic.size=small", "data.action=Ball", "data.clip=24"),
    *("search.stages=null", "search.lr.low=1.0e-5", "search.lr.high=0.3", "search.fusion_nets.high=6"),
    *("fixed.stages=2", "fixed.epochs=9", "fixed.batch_size=16", "first={fusion_nets: 4}"),
    *(f"evaluation.folds={FOLDS}", "evaluation.group=null", "scheduler.grace_epochs=3"),
)
"""Rungs at epochs 3 and 9; 96 training videos a fold, 24 held out."""


@dataclass(frozen=True)
class Rule:
    """How a study treats first folds; ``first`` is how many, 0 for none."""

    name: str
    first: int = 0
    bar: Bar = min


RULES = (
    Rule("all folds together"),
    Rule("first fold, forgiving", 1),
    Rule("first two folds, forgiving", 2),
    Rule("first fold, aggressive", 1, fisher_mean),
    Rule("first two folds, aggressive", 2, fisher_mean),
)


@dataclass(frozen=True)
class Parts:
    """A configuration trained to the first rung in two parts.

    Args:
        told: What its first folds reported.
        seconds: Of the first folds, of the others, and of bringing all together again.
    """

    told: dict[str, Any]
    seconds: tuple[float, float, float]


@dataclass(frozen=True)
class Measured:
    """A configuration trained: what it reported at the rungs it reached, the seconds to each, and its parts."""

    config: dict[str, Any]
    told: list[dict[str, Any]]
    seconds: list[float]
    parts: dict[int, Parts]


@dataclass
class Spent:
    """What a replayed study spent, and what it chose.

    Attributes:
        seconds: Of training.
        epochs: Of single networks.
        stopped: Trials ended after their first folds.
        final: Score of the chosen configuration at its full budget; NaN if none got there.
        chosen: Its number.
    """

    seconds: float = 0.0
    epochs: int = 0
    stopped: int = 0
    final: float = float("nan")
    chosen: int = -1

    def pay(self, seconds: float, epochs: int) -> None:
        """Adds a stretch of training."""
        self.seconds += seconds
        self.epochs += epochs


def small_study(root: Path, width: int, first: int) -> Study:
    """Returns the study whose trials are measured, its planted data made."""
    sets = (*SETS, f"fixed.width={width}", *((f"evaluation.first_folds={first}",) if first else ()))
    words = [word for change in sets for word in ("--set", change)]
    study, _ = requested_study(parse(["--space", "planted.yaml", "--storage", str(root), *words]))
    ensure_planted(Synthetic(size="small"), Path(study.data))
    return study


def timed(act: Callable[[], Any]) -> tuple[Any, float]:
    """Returns what an act returns and the processor's seconds it took: other work on the machine counts less."""
    begin = time.process_time()
    return act(), time.process_time() - begin


def measure(root: Path, width: int, config: dict[str, Any]) -> Measured:
    """Trains a configuration together and in parts."""
    trial, told, seconds = Trial(small_study(root, width, 0), config), list[dict[str, Any]](), list[float]()
    while not told or not told[-1]["done"]:
        result, spent = timed(trial.advance)
        told.append(result)
        seconds.append(spent)
    return Measured(config, told, seconds, {n: in_parts(root, width, n, config) for n in (1, 2)})


def in_parts(root: Path, width: int, first: int, config: dict[str, Any]) -> Parts:
    trial = Trial(small_study(root, width, first), config)
    told, ahead = timed(trial.advance)
    if told["done"]:
        return Parts(told, (ahead, 0.0, 0.0))
    whole, rest = timed(trial.advance)
    if whole["done"]:
        return Parts(told, (ahead, rest, 0.0))
    # A milestone that is reached already is scored, no more: the second time without gathering the networks first.
    gathering, scoring = (timed(lambda: trial.networks.train(range(FOLDS), trial.rungs[0]))[1] for _ in range(2))
    return Parts(told, (ahead, rest, gathering - scoring))


def replay(table: Sequence[Measured], order: Sequence[int], rule: Rule, epochs: tuple[int, int]) -> Spent:
    """Returns what a study spends and chooses in which configurations arrive in this order.

    Args:
        table: The configurations.
        order: Their numbers.
        rule: How first folds are treated.
        epochs: Epochs to the first rung, and in all.
    """
    spent, rungs, folds = Spent(), Rungs(REDUCTION), FirstFolds(rule.bar)
    for number in order:
        found, name = table[number], str(number)
        if not is_hopeful(found, name, rule, folds, spent, epochs[0]):
            rungs.fall_short(name, 0)
            continue
        if found.told[0]["status_reason"]:
            continue
        score = found.told[0]["val_spearman"]
        rungs.record(name, 0, score)
        folds.record(name, score, found.told[0])
        if rungs.decide(name, 0).goes_on:
            gathering = found.parts[rule.first].seconds[2] if rule.first else 0.0
            spent.pay(gathering + sum(found.seconds[1:]), FOLDS * (epochs[1] - epochs[0]))
            final = found.told[-1]["val_spearman"]
            if not found.told[-1]["status_reason"] and not spent.final >= final:
                spent.final, spent.chosen = final, number
    return spent


def is_hopeful(found: Measured, name: str, rule: Rule, folds: FirstFolds, spent: Spent, epochs: int) -> bool:
    """Trains a configuration to the first rung, as far as the rule lets it; tells whether it let it."""
    if not rule.first:
        spent.pay(found.seconds[0], FOLDS * epochs)
        return True
    parts = found.parts[rule.first]
    spent.pay(parts.seconds[0], rule.first * epochs)
    if not parts.told["done"]:
        if not folds.decide(name, parts.told).goes_on:
            spent.stopped += 1
            return False
        spent.pay(parts.seconds[1], (FOLDS - rule.first) * epochs)
    return True


def summary(studies: Sequence[Spent], bases: Sequence[Spent]) -> dict[str, float]:
    """Returns means over orders; shares are of the study that trains all folds together in the same order."""
    pairs = list(zip(studies, bases, strict=True))
    losses = [base.final - study.final for study, base in pairs]
    return {
        "seconds": float(np.mean([study.seconds for study in studies])),
        "seconds_share": float(np.mean([study.seconds / base.seconds for study, base in pairs])),
        "epochs_share": float(np.mean([study.epochs / base.epochs for study, base in pairs])),
        "stopped": float(np.mean([study.stopped for study in studies])),
        "same_choice": float(np.mean([study.chosen == base.chosen for study, base in pairs])),
        "loss": float(np.mean(losses)),
        "worst_loss": float(np.max(losses)),
    }


def measured(root: Path, width: int, count: int, seed: int) -> Iterator[Measured]:
    """Yields random configurations, trained, after the branches that all of them share."""
    region, generator = Region(small_study(root, width, 0).space.search), np.random.default_rng(seed)
    configs = [region.draw(generator) for _ in range(count)]
    Trial(small_study(root, width, 0), configs[0]).advance()
    for number, config in enumerate(configs):
        found = measure(root, width, config)
        scores = ", ".join(f"{told['val_spearman']:.3f}" for told in found.told)
        print(f"{number:3}  lr {config['lr']:.1e}  {scores}  {found.told[-1]['status_reason']}", flush=True)
        yield found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What training first folds ahead saves a study, and what it loses.")
    parser.add_argument("--width", type=int, default=32, help="feature width D")
    parser.add_argument("--configurations", type=int, default=30, help="random configurations to train")
    parser.add_argument("--orders", type=int, default=200, help="orders of arrival to replay")
    parser.add_argument("--seed", type=int, default=0, help="seed of configurations and orders")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        table = list(measured(Path(folder), arguments.width, arguments.configurations, arguments.seed))
    generator = np.random.default_rng(arguments.seed)
    orders = [generator.permutation(len(table)).tolist() for _ in range(arguments.orders)]
    studies = {rule.name: [replay(table, order, rule, (3, 9)) for order in orders] for rule in RULES}
    content = {name: summary(found, studies[RULES[0].name]) for name, found in studies.items()}
    columns = list(content[RULES[0].name])
    print("".join([f"width {arguments.width}".ljust(30), *(column.rjust(15) for column in columns)]))
    for name, row in content.items():
        print("".join([name.ljust(30), *(f"{row[column]:15.3f}" for column in columns)]))
    if arguments.json:
        figures = {"width": arguments.width, "rules": content, "configurations": [asdict(found) for found in table]}
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
