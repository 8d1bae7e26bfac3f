"""Planted data: shards with the shape of the real sets, and the best Spearman correlation one can reach on them.

python -m pamfn.synthetic --out shards/planted --size rg
python -m pamfn.synthetic --out shards/highlights --size highlights    # labelled segments; mean average precision

Exit 0: written; 1: nothing was written, and why; 2: the request was wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pamfn.data.faults import ShardError
from pamfn.data.planted_sizes import SIZES
from pamfn.data.shard_writer import occupied, write_shards
from pamfn.data.summary import headline
from pamfn.data.synthetic import generate
from pamfn.metrics import fisher_mean

_SIZE = "tiny: seconds on a laptop; rg, fisv: as the real sets; highlights: segments labelled as YouTube Highlights'"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    arguments = _parser().parse_args(argv)
    if faults := occupied(arguments.out):
        return _refuse(faults, status=2)
    features, best = generate(arguments.size, arguments.seed, arguments.control)
    try:
        paths = write_shards(features, arguments.out)
    except ShardError as error:
        return _refuse(error.faults, status=1)
    except OSError as error:
        return _refuse([f"{arguments.out}: cannot be written ({error.strerror}); nothing was written"], status=1)
    _say(headline(features, shards=len(paths), stored=sum(path.stat().st_size for path in paths)))
    marked = SIZES[arguments.size].marked
    metric, best = ("mAP", _with_mean(best)) if marked else ("Spearman", _with_average(best))
    _say(f"best reachable {metric}: " + ", ".join(f"{task} {value:.3f}" for task, value in best.items()))
    if arguments.control:
        _say("control: flow and audio show what rgb shows, so that fusing has nothing to gain")
    _say(f"look at them: python -m pamfn.inspect {arguments.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pamfn.synthetic", description="Makes planted data: a hidden process that three streams show."
    )
    add = parser.add_argument
    add("--out", required=True, type=Path, metavar="DIR", help="folder for the shards; it must hold none yet")
    add("--size", choices=tuple(SIZES), default="small", help=_SIZE)
    add("--seed", type=int, default=0, metavar="N", help="seed of everything drawn (default 0)")
    add("--control", action="store_true", help="without the structure that rewards fusion")
    return parser


def _with_average(best: dict[str, float]) -> dict[str, float]:
    return {**best, "average": fisher_mean(list(best.values()))} if len(best) > 1 else best


def _with_mean(best: dict[str, float]) -> dict[str, float]:
    return {**best, "average": sum(best.values()) / len(best)} if len(best) > 1 else best


def _refuse(faults: Sequence[str], *, status: int) -> int:
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    return status


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
