"""Features from elsewhere to Parquet shards.

python -m pamfn.ingest --layout published --source data --out shards/rg
python -m pamfn.ingest --layout per-video --source fisv --modality rgb --out shards/fisv
python -m pamfn.ingest --layout table --source speech --score-max 10 --action-column group --group-column speaker \
    --out shards/speech

Exit 0: written; 1: the source has faults, each on a line of its own, and nothing was written; 2: the request was wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pamfn.arguments import positive
from pamfn.data.faults import ShardError
from pamfn.data.layouts import per_video, published, table
from pamfn.data.rules import counted
from pamfn.data.shard_files import is_folder
from pamfn.data.shard_writer import occupied, write_shards
from pamfn.data.source import NEAR, Changes, Source, assemble
from pamfn.data.summary import headline

_BELONGS_TO = {  # an option that means nothing to a layout is refused rather than ignored
    "features": ("published",),
    "modality": ("per-video",),
    "action_column": ("table",),
    "group_column": ("table",),
}
_NEEDED = {"per-video": ("modality",), "table": ("score_max",)}

_SCORE = (
    "score to keep (table: 'score', or the share of highlights if segments are labelled; published: total, TES, PCS)"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    arguments = _parser().parse_args(argv)
    if faults := _request_faults(arguments):
        return _refuse(faults, status=2)
    try:
        source = _read(arguments)
        drop = arguments.on_mismatch == "drop"
        features, changes = assemble(source, drop_mismatched=drop, dtype=arguments.dtype)
        paths = write_shards(features, arguments.out)
    except ShardError as error:
        return _refuse(error.faults, status=1)
    except OSError as error:
        return _refuse([f"{arguments.out}: cannot be written ({error.strerror}); nothing was written"], status=1)
    _say(headline(features, shards=len(paths), stored=sum(path.stat().st_size for path in paths)))
    for line in _notes(source, changes):
        _say(line)
    _say(f"look at them: python -m pamfn.inspect {arguments.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pamfn.ingest", description="Turns features and labels of a known layout into Parquet shards."
    )
    add = parser.add_argument
    add("--layout", required=True, choices=("published", "per-video", "table"), help="how the source is laid out")
    add("--source", required=True, type=Path, metavar="DIR", help="folder of features and labels")
    add("--out", required=True, type=Path, metavar="DIR", help="folder for the shards; it must hold none yet")
    add("--action-column", metavar="C", help="table: column of the action class (default: one class, 'all')")
    add("--group-column", metavar="C", help="table: column of athlete or speaker, which folds never split")
    add("--score-column", metavar="C", help=_SCORE)
    add("--score-max", type=positive, metavar="C", help="largest possible score C (known for total 25, TES, PCS 45)")
    add("--features", type=int, choices=(1, 2), help="published: 1 VST, I3D, AST (default); 2 UMT, I3D, MAST")
    add("--modality", metavar="NAME", help="per-video: what the one stream is called, such as rgb")
    add("--on-mismatch", choices=("refuse", "drop"), default="refuse", help="videos whose streams differ in length")
    add("--dtype", choices=("float16", "float32"), help="stored precision (default: float16 stays, the rest float32)")
    return parser


def _request_faults(arguments: argparse.Namespace) -> list[str]:
    layout, faults = arguments.layout, []
    for name, layouts in _BELONGS_TO.items():
        if getattr(arguments, name) is not None and layout not in layouts:
            faults.append(f"{_option(name)}: means nothing to --layout {layout}; it belongs to {', '.join(layouts)}")
    scored = arguments.score_column is not None or not table.labelled(arguments.source)
    for name in _NEEDED.get(layout, ()):
        if getattr(arguments, name) is None and (scored or name != "score_max"):
            faults.append(f"{_option(name)}: is needed by --layout {layout}, which does not say it")
    if not is_folder(arguments.source):
        faults.append(f"--source: {arguments.source} is not a folder")
    return faults + occupied(arguments.out)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _read(arguments: argparse.Namespace) -> Source:
    score, largest = arguments.score_column, arguments.score_max
    if arguments.layout == "published":
        return published.read(arguments.source, features=arguments.features or 1, score=score, largest=largest)
    if arguments.layout == "per-video":
        return per_video.read(arguments.source, modality=arguments.modality, score=score, largest=largest)
    return table.read(
        arguments.source,
        largest=largest,
        score=score,
        action_column=arguments.action_column,
        group_column=arguments.group_column,
    )


def _notes(source: Source, changes: Changes) -> list[str]:
    lines = []
    if changes.cut:
        lines.append(f"cut {counted(len(changes.cut), 'video')} to the shortest stream, at most {NEAR} segments less")
    if changes.dropped:
        lines.append(f"dropped {counted(len(changes.dropped), 'video')} with streams more than {NEAR} segments apart:")
        lines += [f"  {video}: {lengths}" for video, lengths in changes.dropped.items()]
    if source.unlabelled:
        lines.append(f"left out {counted(source.unlabelled, 'video')} with features and no label")
    return lines


def _refuse(faults: list[str], *, status: int) -> int:
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    sys.stderr.write(f"{counted(len(faults), 'fault')}; nothing was written\n")
    return status


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
