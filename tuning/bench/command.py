"""The command ``python -m tuning.bench``."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console

from tuning.bench.comparison import comparison
from tuning.bench.methods import DEFAULT, Variant, variant
from tuning.bench.running import SHARES, Plan, run
from tuning.bench.surrogate import SAMPLE, BenchError, Surrogate
from tuning.bench.table import table

DEVELOPMENT = ("189909", "126026", "168868", "167152")
"""The tasks on which rules and grace periods were chosen; what is reported is measured on others."""
WIDTH = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns 0, or 2 with one line on standard error if it cannot be run as asked for."""
    options = _parser().parse_args(argv)
    try:
        plan = _plan(options)
    except BenchError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    results = run(plan, options.jobs, _progress(sys.stderr))
    figures, settings = comparison(results), _settings(plan)
    console = Console(file=sys.stdout, width=WIDTH if not sys.stdout.isatty() else None)
    for part in table(figures, settings):
        console.print(part)
    if options.json:
        options.json.write_text(json.dumps({"methods": figures, "settings": settings}, indent=1) + "\n", "utf-8")
    return 0


def _plan(options: argparse.Namespace) -> Plan:
    """Returns what is asked for.

    Raises:
        BenchError: If the data, onnxruntime, a task or a method is not there.
    """
    surrogate = Surrogate(options.data)
    tasks = options.tasks.split(",") if options.tasks else [t for t in surrogate.tasks if t not in DEVELOPMENT]
    surrogate.check(tasks)
    methods = [variant(name) for name in options.methods.split(",")] if options.methods else list(DEFAULT)
    return Plan(options.data, _installed(methods), tasks, options.seeds, options.workers, options.budget)


def _installed(methods: Sequence[Variant]) -> list[Variant]:
    for line in dict.fromkeys(method.missing for method in methods if method.missing):
        sys.stderr.write(f"{line}\n")
    if left := [method for method in dict.fromkeys(methods) if not method.missing]:
        return left
    raise BenchError("--methods: none of them can run; install what is missing, or name others")


def _settings(plan: Plan) -> dict[str, Any]:
    return {
        "tasks": list(plan.tasks),
        "seeds": plan.seeds,
        "workers": plan.workers,
        "budget": plan.budget,
        "shares": list(SHARES),
        "reference_sample": SAMPLE,
    }


def _progress(stream: TextIO) -> Callable[[int, int], None]:
    """Returns what tells of progress: one line that is written over on a terminal, nothing elsewhere."""

    def tell(done: int, of: int) -> None:
        if stream.isatty():
            stream.write(f"\r{done} of {of} searches" + ("\n" if done == of else ""))
            stream.flush()

    return tell


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tuning.bench", description="Compare our search with its peers on LCBench's learning curves."
    )
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="LCBench's surrogate (model.onnx)")
    parser.add_argument("--tasks", metavar="A,B", help="OpenML ids; default: all but the four rules were chosen on")
    parser.add_argument("--seeds", type=_count, default=10, metavar="N", help="seeds a task (10)")
    parser.add_argument("--workers", type=_count, default=4, metavar="W", help="trials at once (4)")
    parser.add_argument("--budget", type=_amount, default=20.0, metavar="B", help="time, in full trainings (20)")
    parser.add_argument("--methods", metavar="A,B", help="NAME or NAME@GRACE/REDUCTION; default: all")
    parser.add_argument("--jobs", type=_count, default=1, metavar="N", help="processes (1); changes no result")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number of at least 1")
    return int(text)


def _amount(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number above 0")
    return value
