"""What a folder of shards holds: every byte is read and every rule checked.

python -m pamfn.inspect shards/rg

Exit 0: good; 1: bad, every fault on a line of its own; 2: the request was wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pamfn.data.faults import ShardError
from pamfn.data.features import FeatureSet
from pamfn.data.rules import counted
from pamfn.data.shard_files import find_shards, is_folder
from pamfn.data.shards import read_shards
from pamfn.data.summary import action_table, cautions, headline, label_table, modality_table


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m pamfn.inspect", description="Says what shards hold, and checks them."
    )
    parser.add_argument("location", metavar="DIR", help="folder of shards, or a URI such as s3://bucket/folder")
    location = parser.parse_args(argv).location
    if "://" not in location and not is_folder(Path(location)):
        return _refuse([f"{location}: is not a folder"], status=2)
    try:
        features = read_shards(location)
        if faults := _digest_faults(location, features):
            raise ShardError(faults)
        lines = _report(location, features)
    except ShardError as error:
        return _refuse(error.faults, status=1)
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _digest_faults(location: str, features: FeatureSet) -> list[str]:
    actual = features.sealed().schema.digest
    if actual == features.schema.digest:
        return []
    return [
        f"{location}: the content has digest {actual[:12]} and the shards say {features.schema.digest[:12]}; "
        "they were changed after they were written: write them again"
    ]


def _report(location: str, features: FeatureSet) -> list[str]:
    filesystem, paths = find_shards(location)
    stored = sum(info.size for info in filesystem.get_file_info(paths))
    lines = [f"{location}: {headline(features, shards=len(paths), stored=stored)}", ""]
    lines += [*modality_table(features), "", *action_table(features), ""]
    if features.schema.seconds_per_segment is not None:
        lines.append(f"one segment is {features.schema.seconds_per_segment:g} s")
    if features.segment_labels is not None:
        lines += ["segments are labelled, highlights are those with a label above 0:", "", *label_table(features), ""]
    lines += [f"note: {caution}" for caution in (*cautions(features), *_leftovers(location))]
    return [*lines, f"digest {features.schema.digest}"]


def _leftovers(location: str) -> list[str]:
    """Names what interrupted writes have left; it is never read as a shard."""
    left = [] if "://" in location else sorted(path.name for path in Path(location).glob(".writing-*"))
    return [f"{name} is left from an interrupted write and may be removed" for name in left]


def _refuse(faults: list[str], *, status: int) -> int:
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    sys.stderr.write(f"{counted(len(faults), 'fault')}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
