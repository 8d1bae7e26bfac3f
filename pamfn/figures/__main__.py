"""The paper's figures of trained networks and of studies, as PNG and SVG.

python -m pamfn.figures studies/rg/final/0000 --data shards/rg --video Hoop_023 --out figures
python -m pamfn.figures --study studies/figure6/results.parquet --out figures

A checkpoint is a folder of networks: a study's ``final/<trial>``, or what ``python -m pamfn.import_released`` wrote.
From it come Figure 5, how often each decision is made over the videos of a split, and with ``--video`` Figure 7,
MSFD's attention to the modalities over that video, and Figure 8, its decisions. From a study that searched the number
of FusionNets K comes Figure 6, the score by K. Decisions are shown without Gumbel noise.

Exit 0: drawn; 1: the checkpoint, the shards or the study cannot be drawn, and why; 2: the request was wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pamfn.data.faults import ShardError
from pamfn.data.rules import SPLITS
from pamfn.figures.files import write_figure
from pamfn.figures.of_networks import Wanted, figures_of_networks
from pamfn.figures.of_study import figure_of_study


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if faults := _request_faults(arguments):
        return _refuse(faults, status=2)
    try:
        drawn, notes = [], list[str]()
        if arguments.checkpoint is not None:
            wanted = Wanted(
                arguments.data, arguments.split, arguments.action, arguments.video, arguments.network, arguments.title
            )
            of_networks, notes = figures_of_networks(arguments.checkpoint, wanted)
            drawn += of_networks
        if arguments.study is not None:
            figure, told = figure_of_study(arguments.study, arguments.title)
            drawn.append(figure)
            notes += told
        paths = [path for name, figure in drawn for path in write_figure(figure, arguments.out, name)]
    except ShardError as error:
        return _refuse(error.faults, status=1)
    except ValueError as error:
        return _refuse([str(error)], status=1)
    except OSError as error:
        return _refuse([f"{arguments.out}: cannot be written ({error.strerror})"], status=1)
    sys.stdout.write("".join(f"{line}\n" for line in [*paths, *(f"note: {note}" for note in notes)]))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pamfn.figures", description="Draws the paper's figures of networks and of studies."
    )
    add = parser.add_argument
    add("checkpoint", nargs="?", type=Path, metavar="CHECKPOINT", help="folder of networks, for Figures 5, 7 and 8")
    add("--data", metavar="DIR", help="shards: a folder, or a URI such as s3://bucket/folder")
    add("--video", metavar="ID", help="the video of Figures 7 and 8")
    add("--split", choices=SPLITS, default="test", help="the videos of Figure 5 (default test)")
    add("--action", action="append", metavar="CLASS", help="a class of Figure 5; may be repeated (default: all)")
    add("--network", metavar="NAME", help="the network of Figures 7 and 8 (default: the first of the video's class)")
    add("--study", type=Path, metavar="RESULTS", help="a study's results.parquet, for Figure 6")
    add("--title", metavar="TEXT", help="what every figure's title begins with (default: the checkpoint or study)")
    add("--out", required=True, type=Path, metavar="DIR", help="folder for the figures; files there are replaced")
    return parser


def _request_faults(arguments: argparse.Namespace) -> list[str]:
    if arguments.checkpoint is None and arguments.study is None:
        return ["nothing to draw: give a CHECKPOINT with --data, or --study RESULTS"]
    faults = []
    if arguments.checkpoint is not None and arguments.data is None:
        faults.append("--data: is needed with a CHECKPOINT: the shards whose videos it looks at")
    if arguments.checkpoint is None:
        given = {"--data": arguments.data, "--video": arguments.video, "--network": arguments.network}
        faults += [f"{name}: means nothing without a CHECKPOINT" for name, value in given.items() if value is not None]
    if arguments.out.exists() and not arguments.out.is_dir():
        faults.append(f"--out: {arguments.out} is not a folder")
    return faults


def _refuse(faults: Sequence[str], *, status: int) -> int:
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
