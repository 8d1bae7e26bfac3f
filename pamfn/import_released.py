"""The authors' released checkpoints to networks that the rest of this project scores with.

python -m pamfn.import_released --fusion ball.pth --out networks/ball
python -m pamfn.import_released --branches pretrained --fusion ball.pth --out networks/ball --score-max 25

The final state dict holds its own branches (``model_r.``, ``model_f.``, ``model_a.``); where it does not, they come
from ``--branches``, a folder with one file for each of rgb, flow and audio, which its name says. Without ``--fusion``
the branches alone become networks, each in a folder of its own under ``--out``.

Sizes are read from shapes; heads and C cannot be, and are said by options. Gumbel noise in evaluation, which the
release draws, is off unless asked for, so that scores repeat. Files are read as plain tensors, and nothing in them is
run; a whole pickled module is refused with the command that makes a state dict of it where its code is at hand.

Exit 0: written; 1: the checkpoints have faults, each on a line of its own, and nothing was written; 2: the request was
wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pamfn.arguments import positive
from pamfn.data.rules import counted
from pamfn.phases.saved import DESCRIPTION, save_networks
from pamfn.released.faults import CheckpointError
from pamfn.released.files import branch_files, read_state
from pamfn.released.networks import Imported, import_branch, import_fusion
from pamfn.released.parts import MODALITIES
from pamfn.released.pieces import Source, split

Made = TypeVar("Made")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    arguments = _parser().parse_args(argv)
    given = {modality: path for modality in MODALITIES if (path := getattr(arguments, modality))}
    try:
        files = {**(branch_files(arguments.branches, MODALITIES) if arguments.branches else {}), **given}
    except CheckpointError as error:
        return _refuse(error.faults, status=2)
    if faults := _request_faults(arguments, files):
        return _refuse(faults, status=2)
    try:
        made = _imported(arguments, files)
    except CheckpointError as error:
        return _refuse(error.faults, status=1)
    try:
        for folder, imported in made.items():
            save_networks(folder, imported.networks)
    except OSError as error:
        return _refuse([f"{arguments.out}: cannot be written ({error.strerror})"], status=1)
    _say(line for folder, imported in made.items() for line in _told(folder, imported))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pamfn.import_released", description="Turns the authors' checkpoints into this project's."
    )
    add = parser.add_argument
    add("--fusion", type=Path, metavar="FILE", help="final state dict")
    add("--branches", type=Path, metavar="DIR", help="folder of the branches' state dicts, found by rgb, flow, audio")
    for modality in MODALITIES:
        add(f"--{modality}", type=Path, metavar="FILE", help=f"state dict of the {modality} branch")
    add("--out", required=True, type=Path, metavar="DIR", help="folder for the networks; it must hold none yet")
    add("--name", metavar="NAME", help="name of the network, such as its class (default: that of the file)")
    add("--score-max", type=positive, default=25.0, metavar="C", help="C of its score: 25 RG (default), 45 Fis-V")
    add("--msfd-heads", type=int, default=1, metavar="H", help="heads of MSFD, which shapes do not tell (default 1)")
    add("--cmfd-heads", type=int, default=1, metavar="H", help="heads of CMFD, likewise (default 1)")
    add(
        "--evaluation-noise",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="draw Gumbel noise in evaluation, as the release does (default: off, so that scores repeat)",
    )
    return parser


def _request_faults(arguments: argparse.Namespace, files: dict[str, Path]) -> list[str]:
    faults = []
    if arguments.fusion is None and not files:
        faults.append("nothing to import: give --fusion FILE, --branches DIR, or both")
    named = {"--fusion": arguments.fusion, **{f"--{modality}": path for modality, path in files.items()}}
    faults += [f"{name}: {path} is not a file" for name, path in named.items() if path and not path.is_file()]
    folders = [arguments.out] if arguments.fusion else [arguments.out / modality for modality in files]
    for folder in folders:
        if (folder / DESCRIPTION).exists():
            faults.append(f"--out: {folder} already holds networks; choose another folder or remove them")
    return faults


def _imported(arguments: argparse.Namespace, files: dict[str, Path]) -> dict[Path, Imported]:
    """Returns what is to be written, by folder."""
    about: dict[str, Any] = {"largest": arguments.score_max}
    if arguments.fusion is None:
        named = {modality: arguments.name or path.stem for modality, path in files.items()}
        sources = _sources(files)
        made = _each({m: partial(import_branch, sources[m], m, name=named[m], **about) for m in sources})
        return {arguments.out / modality: imported for modality, imported in made.items()}
    about |= {name: getattr(arguments, name) for name in ("msfd_heads", "cmfd_heads", "evaluation_noise")}
    fusion = Source(str(arguments.fusion), read_state(arguments.fusion))
    held = split(fusion)[1]
    branches = _sources({modality: path for modality, path in files.items() if modality not in held})
    imported = import_fusion(fusion, branches, name=arguments.name or arguments.fusion.stem, **about)
    spare = [f"{m}: {fusion.name} holds this branch; {path} is not read" for m, path in files.items() if m in held]
    return {arguments.out: replace(imported, notes=spare + imported.notes)}


def _sources(files: dict[str, Path]) -> dict[str, Source]:
    """Reads state dicts; the faults of all come at once."""
    states = _each({modality: partial(read_state, path) for modality, path in files.items()})
    return {modality: Source(str(files[modality]), state) for modality, state in states.items()}


def _each(of: dict[str, Callable[[], Made]]) -> dict[str, Made]:
    """Makes everything; raises the faults of all at once."""
    made, faults = dict[str, Made](), list[str]()
    for name, make in of.items():
        try:
            made[name] = make()
        except CheckpointError as error:
            faults += error.faults
    if faults:
        raise CheckpointError(faults)
    return made


def _told(folder: Path, imported: Imported) -> Iterable[str]:
    networks, settings = imported.networks, imported.networks.recipe
    widths = ", ".join(f"{name} {width}" for name, width in networks.widths.items())
    sizes = f"{settings.stages} stages, width {settings.width}"
    if settings.model == "pamfn":
        sizes += f", K {settings.fusion_nets}, r {settings.head_reduction}"
        sizes += f", heads {settings.msfd_heads} MSFD, {settings.cmfd_heads} CMFD"
    yield f"{folder}: {networks.names[0]}: {sizes}; {widths}"
    unused = f", {imported.unused:,} of them unused and left out" if imported.unused else ""
    yield f"  {imported.parameters:,} parameters{unused}"
    yield from (f"  {note}" for note in imported.notes)
    if settings.model == "pamfn":
        noisy = "drawn, as in the release" if settings.evaluation_noise else "off"
        yield f"  Gumbel noise in evaluation: {noisy}"


def _refuse(faults: Sequence[str], *, status: int) -> int:
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    sys.stderr.write(f"{counted(len(faults), 'fault')}; nothing was written\n")
    return status


def _say(lines: Iterable[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    sys.exit(main())
