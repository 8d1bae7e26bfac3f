"""``benchmarks/limit.py`` counts FLOPs and bytes as it says, and holds a step against the device's rates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmark_scripts import load

from pamfn.recipe import recipe

LIMIT = load("limit")
TRAFFIC = load("traffic")
PLAIN = load("plain_pamfn")


@pytest.fixture
def small_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIMIT.SIDE, "cpu", 128)
    monkeypatch.setitem(LIMIT.COPIED, "cpu", 1 << 20)


def test_it_writes_a_row_for_every_cell(tmp_path: Path, small_device: None) -> None:
    file = tmp_path / "limit.json"
    tiny = ["--size", "tiny", "--batch-size", "4", "--repeats", "1", "--widths", "8"]
    LIMIT.main([*tiny, "--replicas", "1,3", "--steps", "2", "--json", str(file)])
    one, three = json.loads(file.read_text(encoding="utf-8"))
    assert (one["replicas"], three["replicas"]) == (1, 3)
    assert three["flops"] == 3 * one["flops"]
    assert three["bytes_total"] == 3 * one["bytes_total"]
    for row in (one, three):
        longest = max(row["flops"] / row["device_float32"], row["bytes_total"] / row["device_copy"])
        assert row["over_floor"] == pytest.approx(row["step_ms"] / 1e3 / longest)
        assert row["bytes_are"].startswith("an estimate")


def test_a_step_is_held_against_the_longer_floor() -> None:
    row = LIMIT.against(seconds=2.0, flops=100.0, moved=30.0, rate=200.0, bandwidth=10.0)
    assert (row["flop_floor_ms"], row["byte_floor_ms"]) == (500.0, 3000.0)
    assert (row["flop_share"], row["byte_share"]) == (0.25, 1.5)
    assert row["over_floor"] == row["over_byte_floor"] == pytest.approx(2 / 3)
    bound_by_products = LIMIT.against(seconds=2.0, flops=400.0, moved=10.0, rate=200.0, bandwidth=10.0)
    assert (bound_by_products["over_floor"], bound_by_products["over_byte_floor"]) == (1.0, 2.0)


def test_rates_are_those_of_the_calls_timed(monkeypatch: pytest.MonkeyPatch, small_device: None) -> None:
    monkeypatch.setattr(LIMIT, "_median", lambda call, _device, _repeats: call() is None or 0.5)
    assert LIMIT.device_rates("cpu", 1) == {"float32": 2 * 128**3 / 0.5, "copy": 2 * 2**20 / 0.5}


def test_traffic_is_that_of_the_maps_and_weights_by_hand() -> None:
    d, k, batch, steps = 8, 3, 4, 16
    widths = {"rgb": 6, "flow": 5, "audio": 4}
    settings = recipe(width=d, fusion_nets=k, batch_size=batch, clip=steps)
    lengths = [16, 8, 4]
    branch = steps * 3 * d + sum(3 * d * t for t in lengths)
    nets = sum((k * (max(d // 4, 4) + 3 + 3 * d) + 3 * d + d + k) * t for t in lengths)  # with projections and policy
    decoders = sum(4 * d * t for t in (8, 4, 1))  # two queries, two answers
    mixed = d * 8 + 3 * d * 4 + 3 * d * 1
    maps = 5 * (branch + nets + decoders + mixed + 1) + 2 * 2 * branch
    traffic = TRAFFIC.step_traffic(settings, widths)
    assert traffic.maps == 4 * batch * maps
    network = PLAIN.PlainPAMFN(settings, widths)
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    fixed = sum(p.numel() for n in ("rgb", "flow") for p in network.branches[n].parameters()) - 2 * (d + 1)
    assert traffic.weights == 4 * (10 * trained + fixed)
    assert traffic.inputs == 4 * batch * steps * (3 * (6 + 5) + 4 * 4)
    assert traffic.fixed == 4 * (batch * 2 * 2 * branch + fixed)
    assert traffic.total == traffic.inputs + traffic.maps + traffic.weights


def test_the_fixed_branches_part_of_the_flops_is_that_of_their_layers() -> None:
    d, batch, steps = 8, 4, 16
    settings = recipe(width=d, batch_size=batch, clip=steps)
    embeddings = steps * (2 * d * (6 + 5) + 2 * (2 * d * d))
    blocks = 2 * 2 * 3 * d * d * (16 + 8 + 4)
    assert LIMIT.fixed_flops(settings, {"rgb": 6, "flow": 5, "audio": 4}) == 2 * batch * (embeddings + blocks)
