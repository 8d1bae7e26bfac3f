"""How near a training step comes to what the device can do: FLOP/s against matrix products, bytes/s against copies.

python benchmarks/limit.py --widths 64,256 --replicas 1,8 --size rg --json limit.json
python benchmarks/limit.py --widths 64,256 --replicas 1,8,32 --size rg --device cuda --steps 5 --json limit.json

FLOPs are those of the step's matrix products, counted by torch on our network (``pamfn.architectures``);
``flops_fixed`` is the fixed branches' part of them, which a cache of their features spares. Bytes are an ESTIMATE of
the least traffic (``benchmarks/traffic.py``). The device's rates are measured in the same run: a large product in each
precision, and a copy, counted read and written. ``over_floor`` is the step's time over the larger of the two times that
its FLOPs and its bytes would take at those rates.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from measuring import Table, add_options, interleaved, numbers, prepare
from plain_pamfn import PlainPAMFN
from torch.utils.flop_counter import FlopCounterMode
from traffic import step_traffic
from workload import CLIPS, Epochs, Workload

from pamfn.architectures import step_flops
from pamfn.recipe import Recipe

SIDE = {"cpu": 2048, "cuda": 8192}  # of the square matrices
COPIED = {"cpu": 1 << 28, "cuda": 1 << 30}  # bytes
COLUMNS = ("size", "width", "replicas", "step_ms", "tflops_s", "flop_share", "gbytes_s", "byte_share", "over_floor")


def device_rates(device: str, repeats: int) -> dict[str, float]:
    """Returns FLOP/s of a large product by precision, and bytes/s of a copy."""
    products = {"float32": torch.float32}
    if device == "cuda":
        products |= {"tf32": torch.float32, "bf16": torch.bfloat16}
    before = torch.get_float32_matmul_precision()
    rates = {}
    for name, dtype in products.items():
        torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
        a, b = (torch.randn(SIDE[device], SIDE[device], device=device).to(dtype) for _ in range(2))
        out = torch.empty_like(a)
        rates[name] = 2 * SIDE[device] ** 3 / _median(partial(torch.matmul, a, b, out=out), device, repeats)
    torch.set_float32_matmul_precision(before)
    source = torch.zeros(COPIED[device] // 4, device=device)
    target = torch.empty_like(source)
    rates["copy"] = 2 * COPIED[device] / _median(partial(target.copy_, source), device, repeats)
    return rates


def _median(call: Callable[[], object], device: str, repeats: int) -> float:
    return statistics.median(interleaved({"it": call}, repeats=repeats, warmup=2, device=device)["it"])


def measure(
    size: str, width: int, replicas: int, rates: dict[str, float], arguments: argparse.Namespace
) -> dict[str, Any]:
    """Returns the figures of one cell; ``step_ms`` is of one step of all replicas."""
    device, steps = arguments.device, arguments.steps
    work = Workload.of(size, steps * arguments.batch_size, width=width, batch_size=arguments.batch_size)
    part = (np.arange(len(work.videos)), np.arange(len(work.videos)))
    epochs = Epochs(work.training(work.bank(device), [part] * replicas, kept=False))  # as the FLOPs are counted
    taken = interleaved({"ours": epochs.epoch}, repeats=arguments.repeats, warmup=2, device=device)["ours"]
    flops = step_flops(work.settings, work.widths, videos=work.settings.batch_size)
    traffic = step_traffic(work.settings, work.widths)
    moved = {name: replicas * getattr(traffic, name) for name in ("total", "inputs", "maps", "weights", "fixed")}
    rate = rates[arguments.precision if device == "cuda" else "float32"]
    return {
        "size": size,
        "width": width,
        "replicas": replicas,
        **against(statistics.median(taken) / steps, replicas * flops, moved["total"], rate, rates["copy"]),
        "flops_fixed": replicas * fixed_flops(work.settings, work.widths),
        **{f"bytes_{name}": value for name, value in moved.items()},
    }


def fixed_flops(settings: Recipe, widths: Mapping[str, int]) -> int:
    """Returns the FLOPs of the matrix products of one network's fixed branches in a step."""
    with torch.device("meta"):
        network = PlainPAMFN(settings, widths)
        fixed = [name for name in widths if name not in settings.fine_tuned]
        x = {name: torch.empty(settings.batch_size, settings.clip, widths[name]) for name in fixed}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        for name in fixed:
            network.branches[name](x[name])
    return int(counter.get_total_flops())


def against(seconds: float, flops: float, moved: float, rate: float, bandwidth: float) -> dict[str, float]:
    """Returns what a step reaches of a device's rates, and its time over the longer of its floors.

    Args:
        seconds: The step's time.
        flops: FLOPs of the step.
        moved: Bytes of the step.
        rate: The device's FLOP/s.
        bandwidth: The device's bytes/s.
    """
    floors = {"flop_floor_ms": 1e3 * flops / rate, "byte_floor_ms": 1e3 * moved / bandwidth}
    return {
        "step_ms": 1e3 * seconds,
        "flops": flops,
        "tflops_s": flops / seconds / 1e12,
        "flop_share": flops / seconds / rate,
        "gbytes_s": moved / seconds / 1e9,
        "byte_share": moved / seconds / bandwidth,
        **floors,
        "over_floor": 1e3 * seconds / max(floors.values()),
        "over_byte_floor": 1e3 * seconds / floors["byte_floor_ms"],
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="A training step against the device's own rates.")
    parser.add_argument("--widths", type=numbers, default=[64, 256], metavar="D,D")
    parser.add_argument("--replicas", type=numbers, default=[1], metavar="R,R")
    parser.add_argument("--size", choices=tuple(CLIPS), default="rg")
    parser.add_argument("--steps", type=int, default=1, help="steps a repeat: an epoch of so many batches")
    add_options(parser, repeats=5)
    arguments = parser.parse_args(argv)
    where = prepare(arguments)
    rates = device_rates(arguments.device, arguments.repeats)
    measured = {f"device_{name}": rate for name, rate in rates.items()}
    table = Table(COLUMNS, arguments.json, {**where, **measured, "bytes_are": "an estimate of the least traffic"})
    for width in arguments.widths:
        for replicas in arguments.replicas:
            table.add(measure(arguments.size, width, replicas, rates, arguments))


if __name__ == "__main__":
    main()
