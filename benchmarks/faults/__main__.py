"""Strikes a small study by every fault in turn, and counts what that cost.

python -m benchmarks.faults [--only driver,raylet] [--soak 20m] [--out FILE]

``--soak`` kills at random instead, for so long. A table goes to standard output; ``--out`` writes the counts as JSON,
too. Exit 1 if anything was lost, doubled or done twice. It takes root, ``ip``, PostgreSQL and half an hour, and leaves
nothing behind.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.faults.lab import Lab, missing
from benchmarks.faults.scenarios import SCENARIOS, Row, run
from benchmarks.faults.soak import soak

HEAD = "| fault | trains | struck | launches | trials | lost | doubled | repeated | back after | scores differ by |"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="faults, with commas between: " + ", ".join(SCENARIOS))
    parser.add_argument("--soak", type=_seconds, metavar="20m", help="kill at random for so long, in s or m")
    parser.add_argument("--seed", type=int, default=0, help="of what a soak kills when")
    parser.add_argument("--out", type=Path, help="write the counts here, as JSON")
    arguments = parser.parse_args(argv)
    names = arguments.only.split(",") if arguments.only else list(SCENARIOS)
    if unknown := [name for name in names if name not in SCENARIOS]:
        parser.error(f"--only: {', '.join(unknown)}: not among {', '.join(SCENARIOS)}")
    if reason := missing():
        parser.error(reason)
    if arguments.soak:
        return _soak(arguments.soak, arguments.seed, arguments.out)
    rows = []
    print(f"{HEAD}\n|{'---|' * HEAD.count('|', 1)}", flush=True)
    with Lab() as lab:
        for name in names:
            rows.append(run(lab, name))
            print(line(rows[-1]), flush=True)
            if not rows[-1].sound:
                sys.stderr.write(f"{name}: {'; '.join(rows[-1].verdict.why)}\n{rows[-1].out}\n")
            if arguments.out is not None:
                arguments.out.write_text(json.dumps([row.plain() for row in rows], indent=2) + "\n")
    return 0 if all(row.sound for row in rows) else 1


def _soak(seconds: float, seed: int, out: Path | None) -> int:
    with Lab() as lab:
        result = soak(lab, seconds, seed, lambda words: print(words, flush=True))
    if out is not None:
        out.write_text(json.dumps(result.plain(), indent=2) + "\n")
    for words in result.why:
        sys.stderr.write(f"{words}\n")
    return 0 if result.sound else 1


def _seconds(text: str) -> float:
    """Returns a duration such as ``90s`` or ``20m`` in seconds."""
    number, unit = text[:-1], text[-1:]
    if unit not in ("s", "m") or not number.isdigit() or not int(number):
        raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 90s or 20m")
    return int(number) * (60.0 if unit == "m" else 1.0)


def line(row: Row) -> str:
    """Returns a row of the table."""
    v = row.verdict
    back = "-" if row.seconds is None else f"{row.seconds:.0f} s"
    counts = [row.kills, row.launches, v.trials, v.lost, v.doubled, v.repeated, back]
    differ = f"{v.difference:.2g} ({v.compared} compared)"
    return "| " + " | ".join(str(cell) for cell in (row.title, row.mode, *counts, differ)) + " |"


if __name__ == "__main__":
    sys.exit(main())
