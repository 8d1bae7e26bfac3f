"""What the speed benchmarks share: their options, fair timing, and how figures are shown and written."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from pamfn.phases.memory import keep_freed_memory


def add_options(parser: argparse.ArgumentParser, *, repeats: int) -> None:
    """Adds the options that the speed benchmarks share."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there, too")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=repeats, help="measured ones, after some that do not count")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("tf32", "float32"), default="tf32", help="of both sides, on a GPU")
    parser.add_argument("--threads", type=int, default=1)


def prepare(arguments: argparse.Namespace) -> dict[str, Any]:
    """Sets what a timing depends on: threads, and how float32 products are computed on a GPU.

    Returns:
        What a reader of a figure must know of where and how it was measured.
    """
    on_gpu = arguments.device == "cuda"
    if on_gpu and not torch.cuda.is_available():
        raise SystemExit("--device: torch sees no CUDA device")
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()  # of all contestants
    torch.manual_seed(0)
    precision = arguments.precision if on_gpu else "float32"
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    return {
        "machine": torch.cuda.get_device_name() if on_gpu else _processor(),
        "device": arguments.device,
        "threads": torch.get_num_threads(),
        "precision": precision,
        "torch": torch.__version__,
        "batch_size": arguments.batch_size,
        "repeats": arguments.repeats,
    }


def interleaved(
    contestants: Mapping[str, Callable[[], object]], *, repeats: int, warmup: int, device: str
) -> dict[str, list[float]]:
    """Returns the seconds of every call, one of each contestant in turn; the first ``warmup`` rounds do not count."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(warmup + repeats):
        for name, call in contestants.items():
            synchronise(device)
            started = time.perf_counter()
            call()
            synchronise(device)
            seconds[name].append(time.perf_counter() - started)
    return {name: of[warmup:] for name, of in seconds.items()}


def synchronise(device: str) -> None:
    """Waits for a GPU to finish what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """Returns how many times longer the median of ``slow`` is."""
    return statistics.median(slow) / statistics.median(fast)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def numbers(text: str) -> list[int]:
    """Returns the whole numbers of a list with commas."""
    return [int(word) for word in text.split(",")]


class Table:
    """Rows that are printed as they come, and written as a JSON list if a file is asked for.

    Args:
        columns: What to print of a row; the file has all of it.
        path: The file, or None.
        conditions: What every row ends in, as ``prepare`` returned it.
    """

    def __init__(self, columns: Sequence[str], path: Path | None, conditions: Mapping[str, Any]) -> None:
        self._columns, self._path, self._conditions = columns, path, conditions
        self._rows: list[dict[str, Any]] = []
        print(", ".join(f"{name} {value}" for name, value in conditions.items()))
        print("".join(name.rjust(len(name) + 3) for name in columns))

    def add(self, row: Mapping[str, Any]) -> None:
        """Prints a row and writes all there are."""
        self._rows.append({**row, **self._conditions})
        print("".join(_cell(row[name]).rjust(len(name) + 3) for name in self._columns), flush=True)
        if self._path is not None:
            self._path.write_text(json.dumps(self._rows, indent=1) + "\n", encoding="utf-8")


def _cell(value: Any) -> str:
    if value is None:
        return "skipped"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
