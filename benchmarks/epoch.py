"""Peak memory and time per epoch of a paper-size trial, phase 1 and phase 2, one replica.

python benchmarks/epoch.py [--width 256] [--fusion-nets 10] [--steps 3] [--device cpu] [--json]

Data are planted, of the shape of Rhythmic Gymnastics: 200 training videos of 55 to 95 segments, of which a fold of five
trains on 160 and is scored on 40. Each phase runs in a process of its own, so that its peak is its own: one step to
warm up, then ``--steps`` measured ones, whose median is scaled to an epoch's. Training's growth of memory is what comes
on top of data, weights, gradients and moments; the estimate beside it is what `pamfn.phases.memory.step_bytes` plans
with.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pamfn.data.bank import Bank
from pamfn.data.synthetic import generate
from pamfn.model.network import build_branch
from pamfn.phases.branches import branch_training
from pamfn.phases.fusion import fusion_training
from pamfn.phases.memory import step_bytes
from pamfn.phases.replica import Replica
from pamfn.phases.training import Training
from pamfn.recipe import Recipe, recipe
from pamfn.replicas.cut import cut, initialise

FOLD = 160  # training videos of one fold of five
HELD_OUT = 40


def measure(phase: int, settings: Recipe, steps: int, device: str) -> dict[str, Any]:
    """Returns one phase's figures; to be called in a fresh process.

    Args:
        phase: 1 (the RGB branch) or 2.
        settings: The recipe.
        steps: Measured steps.
        device: ``cpu`` or ``cuda``.
    """
    torch.set_num_threads(1)
    features, _ = generate("rg", 0)
    ball = features.subset(features.where(action="Ball", split="train"))
    bank, scores = Bank.of(ball, torch.device(device)), ball.scores["total"]
    del features, ball
    held_out = np.arange(FOLD, FOLD + HELD_OUT)
    mine = Replica("Ball/fold0/seed0", "Ball", 0, 1, np.arange(settings.batch_size), held_out, scores, 25.0)
    training = branch_training(settings, "rgb", [mine], bank) if phase == 1 else _fusion(settings, mine, bank)
    trained = sum(p.numel() for p in training.network.parameters() if p.requires_grad)
    memory = Memory(device)
    seconds = _step_seconds(training, steps)
    figures = {
        "phase": phase,
        "parameters_trained": trained,
        "step_seconds": statistics.median(seconds),
        "epoch_seconds": statistics.median(seconds) * FOLD / settings.batch_size,
        "peak_mb": memory.peak() / 1e6,
        "growth_mb": memory.growth() / 1e6,
        "step_estimate_mb": step_bytes(settings, bank.widths, device) / 1e6 if phase == 2 else None,
    }
    started = time.perf_counter()
    training.predict()
    return {
        **figures,
        "scoring_seconds": time.perf_counter() - started,
        "growth_with_scoring_mb": memory.growth() / 1e6,
    }


class Memory:
    """Bytes that this process, or its GPU, holds.

    Args:
        device: ``cpu`` (resident pages) or ``cuda`` (allocated tensors).
    """

    def __init__(self, device: str) -> None:
        self._device = device
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
        else:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew
            self._before = _status("VmRSS")

    def peak(self) -> int:
        """Returns the most there ever was since the start."""
        return torch.cuda.max_memory_allocated() if self._device == "cuda" else _status("VmHWM")

    def growth(self) -> int:
        """Returns the peak beyond what there was at the start."""
        return self.peak() - self._before


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def _fusion(settings: Recipe, everyone: Replica, bank: Bank) -> Training:
    """Returns a phase-2 training on branches of fresh weights: time and memory do not ask how good they are."""
    states = {}
    for name, width in bank.widths.items():
        branch = build_branch(settings, name, width, 1)
        initialise(branch, [1])
        states[name] = [cut(branch, 0)]
    return fusion_training(settings, [everyone], bank, states)


def _step_seconds(training: Training, steps: int) -> list[float]:
    """Takes a warming step and then ``steps`` timed ones: with one batch of videos, an epoch is a step."""
    budget, seconds = training.plans[0].epochs, []
    for step in range(1, steps + 2):
        started = time.perf_counter()
        list(training.run([step / budget], score=False))
        seconds.append(time.perf_counter() - started)
    return seconds[1:]


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints it."""
    parser = argparse.ArgumentParser(description="Peak memory and time per epoch of a paper-size trial.")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--fusion-nets", type=int, default=10)
    parser.add_argument("--steps", type=int, default=3, help="measured steps a phase, after one to warm up")
    parser.add_argument("--phases", type=int, nargs="+", choices=(1, 2), default=[1, 2])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    settings = recipe(width=arguments.width, fusion_nets=arguments.fusion_nets)
    rows = []
    for phase in arguments.phases:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows.append(pool.apply(measure, (phase, settings, arguments.steps, arguments.device)))
    machine = torch.cuda.get_device_name() if arguments.device == "cuda" else f"{platform.machine()}, one thread"
    if arguments.json:
        print(
            json.dumps({"machine": machine, "width": settings.width, "fusion_nets": settings.fusion_nets, "rows": rows})
        )
        return
    print(
        f"{machine}; width {settings.width}, K = {settings.fusion_nets}, N = {settings.stages}, {FOLD} videos an epoch"
    )
    for row in rows:
        print("\n".join(_lines(row)))


def _lines(row: dict[str, Any]) -> list[str]:
    estimate = row["step_estimate_mb"]
    beside = f" (step_bytes estimates {estimate:.0f} MB)" if estimate is not None else ""
    return [
        f"phase {row['phase']}: {row['parameters_trained']:,} trained parameters",
        f"  step {row['step_seconds']:.2f} s, epoch {row['epoch_seconds']:.1f} s, "
        f"scoring {row['scoring_seconds']:.1f} s",
        f"  peak {row['peak_mb']:.0f} MB, {row['growth_mb']:.0f} MB of it by training{beside}, "
        f"{row['growth_with_scoring_mb']:.0f} MB with scoring",
    ]


if __name__ == "__main__":
    main()
