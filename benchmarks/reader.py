"""The shard reader's speed beside plain ``np.load`` of the same arrays.

python benchmarks/reader.py [--videos 1000] [--dtype float16] [--repeats 5] [--json]

Random features of the published widths are written to a temporary folder, as shards and as one ``.npy`` a modality.
Both are then read in turn, from the page cache, and the median time of each counts. Speeds are in bytes of features in
memory, not on disk. ``np.load`` neither unpacks nor checks anything: it is the ceiling, not a rival. The reader's own
check, that no number is NaN or infinite, is part of its time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pamfn.data.features import FeatureSet
from pamfn.data.schema import Schema
from pamfn.data.shards import read_shards, write_shards

WIDTHS = {"rgb": 1024, "flow": 1024, "audio": 768}
ACTIONS = ("Ball", "Clubs", "Hoop", "Ribbon")


def random_features(videos: int, dtype: str, seed: int = 0) -> FeatureSet:
    """Returns videos of 60 to 80 segments, four actions, one in five for testing."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(60, 81, videos)
    rows = int(lengths.sum())
    return FeatureSet(
        schema=Schema(modalities=WIDTHS, scores={"total": 25.0}),
        video_ids=tuple(f"v{i:05d}" for i in range(videos)),
        actions=tuple(ACTIONS[i % len(ACTIONS)] for i in range(videos)),
        splits=tuple("test" if i % 5 == 0 else "train" for i in range(videos)),
        groups=(None,) * videos,
        scores={"total": rng.uniform(0, 25, videos)},
        lengths=lengths,
        offsets=np.cumsum(lengths) - lengths,
        features={n: rng.standard_normal((rows, d), dtype=np.float32).astype(dtype) for n, d in WIDTHS.items()},
    )


def measure(videos: int, dtype: str, repeats: int) -> dict[str, float]:
    """Returns megabytes a second of every way of reading, and their ratio."""
    features = random_features(videos, dtype)
    megabytes = sum(values.nbytes for values in features.features.values()) / 1e6
    with tempfile.TemporaryDirectory() as folder:
        shards, arrays = Path(folder) / "shards", [Path(folder) / f"{name}.npy" for name in features.features]
        started = time.perf_counter()
        stored = sum(path.stat().st_size for path in write_shards(features, shards)) / 1e6
        write = time.perf_counter() - started
        for path, values in zip(arrays, features.features.values(), strict=True):
            np.save(path, values)
        one = features.subset(features.where(action="Ball"))
        one_megabytes = sum(values.nbytes for values in one.features.values()) / 1e6
        del features, one
        ways: dict[str, Callable[[], object]] = {
            "load": lambda: [np.load(path, allow_pickle=False) for path in arrays],
            "shards": lambda: read_shards(shards),
            "one_action": lambda: read_shards(shards, actions=["Ball"]),
        }
        seconds = timed(ways, repeats)
    speed = {name: megabytes / seconds[name] for name in ("load", "shards")}
    return {
        "videos": videos,
        "megabytes": megabytes,
        "megabytes_on_disk": stored,
        "write_mb_s": megabytes / write,
        "np_load_mb_s": speed["load"],
        "shards_mb_s": speed["shards"],
        "one_action_mb_s": one_megabytes / seconds["one_action"],
        "shards_seconds": seconds["shards"],
        "shards_over_np_load": speed["shards"] / speed["load"],
    }


def timed(ways: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Returns the median seconds of each way; they take turns, so that a slow spell hits all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, read in ways.items():
            started = time.perf_counter()
            read()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints it."""
    parser = argparse.ArgumentParser(description="The shard reader's MB/s beside plain np.load.")
    parser.add_argument("--videos", type=int, default=1000)
    parser.add_argument("--dtype", choices=("float16", "float32"), default="float16")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    result = measure(arguments.videos, arguments.dtype, arguments.repeats)
    if arguments.json:
        print(json.dumps(result))
        return
    print(f"{arguments.videos} videos, {result['megabytes']:.0f} MB {arguments.dtype} in memory,", end=" ")
    print(f"{result['megabytes_on_disk']:.0f} MB as shards (written at {result['write_mb_s']:.0f} MB/s)")
    print(f"np.load            {result['np_load_mb_s']:7.0f} MB/s")
    share = f"{result['shards_over_np_load']:.2f} of np.load, {result['shards_seconds']:.1f} s"
    print(f"shards             {result['shards_mb_s']:7.0f} MB/s, {share}")
    print(f"shards, one action {result['one_action_mb_s']:7.0f} MB/s")


if __name__ == "__main__":
    main()
