"""How many replicas train side by side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pamfn.model.network import PAMFN
from pamfn.phases import memory
from pamfn.phases.memory import network_bytes, replicas_at_once, step_bytes
from pamfn.recipe import recipe

PUBLISHED = {"rgb": 1024, "flow": 1024, "audio": 768}
CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[3]
EPOCH = ROOT / "benchmarks" / "epoch.py"


def test_the_estimate_at_paper_size_is_what_was_measured() -> None:
    assert step_bytes(recipe(), PUBLISHED, "cpu") / 1e6 == pytest.approx(284, abs=1)  # 239 in docs/measurements.md


@pytest.mark.slow
@pytest.mark.parametrize(("width", "nets"), [(32, 10), (64, 4), (128, 4)])
def test_the_estimate_is_within_half_of_the_measured_peak(width: int, nets: int) -> None:
    options = ["--width", str(width), "--fusion-nets", str(nets), "--steps", "1", "--phases", "2", "--device", "cpu"]
    command, where = [sys.executable, EPOCH, *options, "--json"], {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=where)
    (row,) = json.loads(ran.stdout)["rows"]
    assert 1 / 1.5 < row["step_estimate_mb"] / row["growth_mb"] < 1.5


@pytest.mark.parametrize("larger", [{"width": 512}, {"fusion_nets": 12}, {"clip": 130}, {"batch_size": 64}])
def test_more_of_anything_takes_more_memory(larger: dict[str, int]) -> None:
    assert all(
        step_bytes(recipe(**larger), PUBLISHED, kind) > step_bytes(recipe(), PUBLISHED, kind)
        for kind in ("cpu", "cuda")
    )


def test_replicas_that_fit_train_at_once_and_one_always_does(monkeypatch: pytest.MonkeyPatch) -> None:
    small = recipe(width=16, fusion_nets=2, clip=16, batch_size=8)
    assert replicas_at_once(small, {"rgb": 16, "audio": 16}, 20, CPU) == 20
    assert (
        replicas_at_once(recipe(), PUBLISHED, 20, CPU)
        == memory.CPU_BYTES // step_bytes(recipe(), PUBLISHED, "cpu")
        == 11
    )
    monkeypatch.setattr(memory, "CPU_BYTES", 1)
    assert replicas_at_once(recipe(), PUBLISHED, 20, CPU) == 1


def test_on_a_gpu_the_networks_themselves_take_their_room_first(monkeypatch: pytest.MonkeyPatch) -> None:
    held, step = network_bytes(recipe(), PUBLISHED), step_bytes(recipe(), PUBLISHED, "cuda")
    free = int((20 * held + 6.5 * step) / memory.GPU_SHARE)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, free))
    assert replicas_at_once(recipe(), PUBLISHED, 20, torch.device("cuda")) == 6
    assert replicas_at_once(recipe(), PUBLISHED, 400, torch.device("cuda")) == 1


def test_what_torch_keeps_of_freed_memory_is_free_for_the_next_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    held, step = network_bytes(recipe(), PUBLISHED), step_bytes(recipe(), PUBLISHED, "cuda")
    free = int((20 * held + 6.5 * step) / memory.GPU_SHARE)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free // 4, free))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: free)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: free // 4)
    assert replicas_at_once(recipe(), PUBLISHED, 20, torch.device("cuda")) == 6


def test_a_network_holds_weights_gradients_and_two_moments() -> None:
    settings, widths = recipe(width=8, fusion_nets=2), {"rgb": 5, "audio": 4}
    assert network_bytes(settings, widths) == 16 * sum(p.numel() for p in PAMFN(settings, widths, [0]).parameters())
