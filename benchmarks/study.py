"""Wall time of one study: on engines, in reused processes, in a process a trial, and without sharing branches.

python benchmarks/study.py --json study.json
python benchmarks/study.py --no-stopping --trials 12 --json study.json

Every variant is a whole ``tuning.launch`` in a process of its own, with its own storage, tracking and home, on the same
planted data and the same ``--cpus``; ``study_launch.py`` says what is otherwise in two of them. Trials are drawn at
random, so all variants train the same ones. ASHA decides by who came first, so the variants may stop different ones;
with ``--no-stopping`` all train the same epochs. A short launch that does not count comes first, and with ``--repeats``
all variants take turns.

``seconds`` are of the command, from its start to its end; ``seconds_trials`` from when its trials, and engines, are
started to the last word of a trial. ``epochs`` are of trials, ``replica_epochs`` of single networks, ``epoch_ms`` is
``seconds_trials`` over the latter; phase 1 is in the seconds, and not in the epochs. ``rows_a_step`` is how many
networks a step of the engines trained: what they gain grows with it. ``load`` is that of the machine before.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from measuring import Table, add_options, numbers, prepare
from study_variants import VARIANTS, Launched, Studies
from workload import CLIPS

COLUMNS = ("variant", "seconds", "seconds_trials", "epochs", "epoch_ms", "ratio_reused", "ratio_actor_per_trial")
SHARING = ("engine", "engine_warm")  # what is compared with engines whose trials share no branches
ASKED = (
    *("cpus", "no_stopping", "size", "actions", "folds", "width", "fusion_nets", "stages"),
    *("budget_epochs", "grace_epochs", "every", "phase1_epochs", "seed"),
)
"""Options that every row ends in."""


def rows_of(launched: Mapping[str, Sequence[Launched]], replicas: int) -> list[dict[str, Any]]:
    """Returns a row a variant: its launch of median time, and how many times longer the others took.

    Args:
        launched: By variant, what its launches did.
        replicas: Networks a trial.

    Raises:
        SystemExit: If two launches had different trials.
    """
    if len({json.dumps(study.configs) for studies in launched.values() for study in studies}) > 1:
        raise SystemExit("the variants had different trials, so their times say nothing")
    middle = {name: sorted(of, key=lambda study: study.seconds)[len(of) // 2] for name, of in launched.items()}
    figures = {name: study.figures(replicas) for name, study in middle.items()}
    rows = []
    for name, own in figures.items():
        row = {"variant": name, **own, "seconds_all": [study.seconds for study in launched[name]]}
        for other in ("reused", "actor_per_trial"):
            row |= _ratios(other, figures.get(other), own)
        unshared = figures.get("engine_own_branches") if name in SHARING else None
        row["share_saved_by_store"] = 1 - own["seconds"] / unshared["seconds"] if unshared else None
        rows.append(row | {"same_ends": _same_ends(middle[name], middle[next(iter(middle))])})
    return rows


def _ratios(name: str, other: Mapping[str, Any] | None, own: Mapping[str, Any]) -> dict[str, float | None]:
    """Returns how many times longer another variant took: the command, its trials, and an epoch of a network."""
    keys = {"": "seconds", "_trials": "seconds_trials", "_epoch": "epoch_ms"}
    return {f"ratio_{name}{end}": other[key] / own[key] if other else None for end, key in keys.items()}


def _same_ends(one: Launched, other: Launched) -> int:
    """Returns how many trials ended for the same reason in two launches."""
    return sum(event["reason"] == other.last[trial]["reason"] for trial, event in one.last.items())


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """Returns the options; leaves with exit status 2 and the usage if they are none."""
    parser = argparse.ArgumentParser(description="Wall time of one study, with engines and without.")
    add = parser.add_argument
    add("--variants", nargs="+", choices=tuple(VARIANTS), default=list(VARIANTS), help="which to run (default: all)")
    add("--trials", type=int, default=60)
    add("--no-stopping", action="store_true", help="train every trial to the end")
    add("--cpus", type=int, default=2, help="engines, or without them trials at once; on a GPU these share it")
    add("--size", choices=tuple(CLIPS), default="tiny", help="of the planted data")
    add("--actions", type=int, default=1, help="classes")
    add("--folds", type=int, default=2)
    add("--width", type=int, default=32)
    add("--stages", type=numbers, default=[2, 3, 4], metavar="N,N")
    add("--fusion-nets", type=int, default=8, help="largest K")
    add("--epochs", type=int, default=81, dest="budget_epochs", help="a trial's full budget")
    add("--grace-epochs", type=int, default=9)
    add("--every", type=int, default=9, help="epochs between two points of a trial's curve")
    add("--phase1-epochs", type=int, default=20)
    add("--seed", type=int, default=0)
    add("--keep", type=Path, metavar="DIR", help="keep the studies there; a short path, Ray puts sockets under it")
    add_options(parser, repeats=1)
    parser.set_defaults(batch_size=16)
    arguments = parser.parse_args(argv)
    if "engine_warm" in arguments.variants and "engine" not in arguments.variants:
        parser.error("--variants: engine_warm goes on with the branches of engine, so name both")
    return arguments


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parsed(argv)
    conditions = prepare(arguments)
    conditions |= {"load": os.getloadavg()[0], **{name: getattr(arguments, name) for name in ASKED}}
    with TemporaryDirectory(prefix="st") as scratch:
        studies = Studies((arguments.keep or Path(scratch)).resolve(), arguments)
        launched = run_all(studies, arguments)
        table = Table(COLUMNS, arguments.json, conditions)
        for row in rows_of(launched, studies.replicas):
            table.add(row)


def run_all(studies: Studies, arguments: argparse.Namespace) -> dict[str, list[Launched]]:
    """Returns what every launch of every variant did, after one that only brings the code into memory."""
    studies.run("reused", 0, trials=1)
    launched: dict[str, list[Launched]] = {name: [] for name in VARIANTS if name in arguments.variants}
    for round_ in range(1, arguments.repeats + 1):
        for name in launched:
            launched[name].append(studies.run(name, round_))
            print(f"{name}: {launched[name][-1].seconds:.1f} s", flush=True)
    return launched


if __name__ == "__main__":
    main()
