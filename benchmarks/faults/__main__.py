"""Strikes a small study by every fault in turn, and counts what that cost.

python -m benchmarks.faults [--only driver,raylet] [--out FILE]

A table goes to standard output; ``--out`` writes the counts as JSON, too. Exit 1 if anything was lost, doubled or done
twice. It takes root, ``ip``, PostgreSQL and half an hour, and leaves nothing behind.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.faults.lab import Lab, missing
from benchmarks.faults.scenarios import SCENARIOS, Row, run

HEAD = "| fault | trains | struck | launches | trials | lost | doubled | repeated | back after | scores differ by |"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="faults, with commas between: " + ", ".join(SCENARIOS))
    parser.add_argument("--out", type=Path, help="write the counts here, as JSON")
    arguments = parser.parse_args(argv)
    names = arguments.only.split(",") if arguments.only else list(SCENARIOS)
    if unknown := [name for name in names if name not in SCENARIOS]:
        parser.error(f"--only: {', '.join(unknown)}: not among {', '.join(SCENARIOS)}")
    if reason := missing():
        parser.error(reason)
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


def line(row: Row) -> str:
    """Returns a row of the table."""
    v = row.verdict
    back = "-" if row.seconds is None else f"{row.seconds:.0f} s"
    counts = [row.kills, row.launches, v.trials, v.lost, v.doubled, v.repeated, back]
    differ = f"{v.difference:.2g} ({v.compared} compared)"
    return "| " + " | ".join(str(cell) for cell in (row.title, row.mode, *counts, differ)) + " |"


if __name__ == "__main__":
    sys.exit(main())
