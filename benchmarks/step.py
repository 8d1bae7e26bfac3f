"""Training steps a second: ours against a loop over plain networks, ``torch.func.vmap``, and ours alone.

python benchmarks/step.py --widths 32,64 --replicas 1,8 --size rg --json step.json
python benchmarks/step.py --widths 64,256 --replicas 1,4,8,16,32,64 --size rg --device cuda --steps 5 --json step.json

A repeat is an epoch of ``--steps`` phase-2 steps of every network, batch 32, gathered from features in memory; the
contestants take turns, and the medians are compared. The loop is ``benchmarks/plain_pamfn.py`` with torch's own
dropout and AdamW, one network after the other; where ``--looped`` bounds how many it runs, its time is scaled to R.
``ratio_single`` is what R replicas together gain over each alone. Ours keeps what the fixed branches say of every clip,
as an engine does; ``uncached`` computes it at every step, as the loop does. ``bf16`` runs on GPUs alone. Both sides see
as many videos again and again. ``--compile inductor`` adds ours behind ``torch.compile``, which studies do not use; its
warm-up, of minutes, is among the rounds that do not count. On a GPU vmap is left out of a row that does not fit its
memory, and a row that does not fit without it is left out.
"""

from __future__ import annotations

import argparse
import gc
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from measuring import Table, add_options, interleaved, numbers, prepare, ratio
from plain_pamfn import PlainPAMFN
from plain_training import Batches, Loop, Vmapped
from workload import CLIPS, Epochs, Workload

from pamfn.phases.training import Training

COLUMNS = (
    *("size", "width", "replicas", "step_ms", "loop_ms", "ratio_loop", "ratio_loop_uncached", "ratio_loop_bf16"),
    *("ratio_vmap", "ratio_single"),
)


def measure_fitting(width: int, replicas: int, arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Returns the figures of one cell, without vmap where that takes more memory than there is; None if all do."""
    for skip in dict.fromkeys((tuple(arguments.skip), ("vmap",))):
        try:
            return measure(width, replicas, arguments, skip)
        except torch.OutOfMemoryError:
            print(f"width {width}, {replicas} replicas: out of memory, skipping {' '.join(skip) or 'nothing'}")
        gc.collect()
        torch.cuda.empty_cache()
    return None


def measure(width: int, replicas: int, arguments: argparse.Namespace, skip: Sequence[str]) -> dict[str, Any]:
    """Returns the figures of one cell; times in the row are of one step of one replica."""
    size, device, steps = arguments.size, arguments.device, arguments.steps
    work = Workload.of(size, steps * arguments.batch_size, width=width, batch_size=arguments.batch_size)
    bank = work.bank(device)
    looped = min(replicas, arguments.looped or replicas)
    plain = looped if "vmap" in skip else replicas
    networks = [PlainPAMFN(work.settings, work.widths).to(device) for _ in range(plain)]
    batches = Batches(bank, work.targets(device), len(work.videos), work.settings)
    part = (np.arange(len(work.videos)), np.arange(len(work.videos)))
    contestants: dict[str, Callable[[], object]] = {
        "loop": Loop(networks[:looped], batches, work.settings).epoch,
        "ours": Epochs(work.training(bank, [part] * replicas)).epoch,
        "uncached": Epochs(work.training(bank, [part] * replicas, kept=False)).epoch,
    }
    if device == "cuda":
        contestants["bf16"] = Epochs(work.training(bank, [part] * replicas, precision="bf16")).epoch
    if arguments.compile:
        contestants["compiled"] = compiled(work.training(bank, [part] * replicas), arguments.compile).epoch
    if replicas > 1:
        contestants["single"] = Epochs(work.training(bank, [part])).epoch
    if "vmap" not in skip:
        contestants["vmap"] = Vmapped(networks, batches, work.settings).epoch
    seconds = interleaved(contestants, repeats=arguments.repeats, warmup=arguments.warmup, device=device)
    rows = {"loop": looped, "single": 1}
    each = {name: [s / steps / rows.get(name, replicas) for s in of] for name, of in seconds.items()}
    each.setdefault("single", each["ours"])
    return {"size": size, "width": width, "replicas": replicas, **_figures(each), "looped": looped, "steps": steps}


def compiled(training: Training, backend: str) -> Epochs:
    """Returns a training whose network ``torch.compile`` translates in its next epoch."""
    epochs = Epochs(training)
    epochs.epoch()  # meets the sites of its noise, whose keys the host makes from then on
    training.network.compile(backend=backend)
    return epochs


def profiled(width: int, replicas: int, arguments: argparse.Namespace) -> str:
    """Returns a table of the operations of our steps, those that take longest first, after some to warm up."""
    work = Workload.of(
        arguments.size, arguments.steps * arguments.batch_size, width=width, batch_size=arguments.batch_size
    )
    part = (np.arange(len(work.videos)), np.arange(len(work.videos)))
    ours = Epochs(work.training(work.bank(arguments.device), [part] * replicas))
    for _ in range(arguments.warmup):
        ours.epoch()
    with torch.profiler.profile() as seen:
        for _ in range(arguments.repeats):
            ours.epoch()
    table: str = seen.key_averages().table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=40)
    return f"width {width}, {replicas} replicas\n{table}"


def _figures(each: dict[str, list[float]]) -> dict[str, Any]:
    """Returns ratios, rates and times of contestants' seconds a replica-step."""
    ours = each["ours"]
    rates = {name: 1 / statistics.median(of) for name, of in each.items()}
    paired = sorted(slow / fast for slow, fast in zip(each["loop"], ours, strict=True))
    return {
        "ratio_loop": ratio(each["loop"], ours),
        "ratio_loop_range": [paired[0], paired[-1]],
        "ratio_loop_uncached": ratio(each["loop"], each["uncached"]),
        "ratio_loop_bf16": ratio(each["loop"], each["bf16"]) if "bf16" in each else None,
        "ratio_loop_compiled": ratio(each["loop"], each["compiled"]) if "compiled" in each else None,
        "ratio_vmap": ratio(each["vmap"], ours) if "vmap" in each else None,
        "ratio_single": ratio(each["single"], ours),
        "replica_steps_per_second": rates["ours"],
        "loop_replica_steps_per_second": rates["loop"],
        "single_replica_steps_per_second": rates["single"],
        "vmap_replica_steps_per_second": rates.get("vmap"),
        "step_ms": 1e3 * statistics.median(ours),
        "loop_ms": 1e3 * statistics.median(each["loop"]),
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Training steps a second against plain PyTorch.")
    parser.add_argument("--widths", type=numbers, default=[32, 64], metavar="D,D")
    parser.add_argument("--replicas", type=numbers, default=[1, 8], metavar="R,R")
    parser.add_argument("--size", choices=tuple(CLIPS), default="rg")
    parser.add_argument("--steps", type=int, default=1, help="steps a repeat: an epoch of so many batches")
    parser.add_argument("--warmup", type=int, default=2, help="rounds that do not count")
    parser.add_argument("--looped", type=int, metavar="N", help="networks in the loop at most; its time is scaled to R")
    parser.add_argument("--skip", nargs="+", choices=("vmap",), default=[], help="contestants to leave out")
    parser.add_argument("--profile", action="store_true", help="print where our steps go, and measure nothing else")
    parser.add_argument("--compile", metavar="BACKEND", help="also measure ours behind torch.compile, say inductor")
    add_options(parser, repeats=5)
    arguments = parser.parse_args(argv)
    about = prepare(arguments)
    if arguments.profile:
        for width in arguments.widths:
            for replicas in arguments.replicas:
                print(profiled(width, replicas, arguments))
        return
    table = Table(COLUMNS, arguments.json, about)
    for width in arguments.widths:
        for replicas in arguments.replicas:
            if (row := measure_fitting(width, replicas, arguments)) is not None:
                table.add(row)
            gc.collect()
            if arguments.device == "cuda":
                torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
