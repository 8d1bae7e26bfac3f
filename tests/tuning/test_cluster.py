"""What a cluster can hold, and what it is asked before a study starts on it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tuning.cluster import ClusterError, Room, ray_cluster, room_on
from tuning.sections import Resources


def cluster(*nodes: dict[str, float]) -> SimpleNamespace:
    """Stands in for Ray with nodes of these resources."""
    return SimpleNamespace(nodes=lambda: [{"Alive": True, "Resources": node} for node in nodes])


def test_every_processor_holds_a_trial():
    assert room_on(cluster({"CPU": 2.0}, {"CPU": 3.0}), Resources()) == (Room(cpu=1.0, gpu=0.0, trials=5), [])


def test_a_trial_does_not_straddle_nodes():
    assert room_on(cluster({"CPU": 3.0}, {"CPU": 3.0}), Resources(cpu=2.0))[0].trials == 2


def test_a_trial_takes_a_gpu_where_there_is_one():
    room, faults = room_on(cluster({"CPU": 8.0, "GPU": 2.0}, {"CPU": 8.0}), Resources())
    assert (room.gpu, room.trials, faults) == (1.0, 2, [])


def test_trials_may_share_a_gpu():
    assert room_on(cluster({"CPU": 16.0, "GPU": 1.0}), Resources(gpu=0.25))[0].trials == 4


def test_dead_nodes_hold_nothing():
    ray = SimpleNamespace(nodes=lambda: [{"Alive": False, "Resources": {"CPU": 8.0}}])
    assert room_on(ray, Resources())[1]


def test_a_trial_that_no_node_can_hold_is_refused_before_it_waits_for_ever():
    _, faults = room_on(cluster({"CPU": 2.0}), Resources(cpu=4.0))
    assert faults == ["resources: an engine asks for 4 CPU and 0 GPU; the nodes have 2 CPU and 0 GPU"]
    _, faults = room_on(cluster({"CPU": 2.0}), Resources(cpu=4.0, engine="off"))
    assert faults == ["resources: a trial asks for 4 CPU and 0 GPU; the nodes have 2 CPU and 0 GPU"]


@pytest.mark.parametrize("asked", [Resources(precision="bf16"), Resources(precision="bf16", engine="off")])
def test_bf16_is_refused_where_no_engine_has_a_gpu(asked):
    assert room_on(cluster({"CPU": 2.0}), asked)[1] == [
        "resources.precision: bf16 takes an engine on a GPU; use tf32 or float32 here"
    ]


def test_bf16_is_taken_where_an_engine_has_a_gpu():
    assert room_on(cluster({"CPU": 2.0, "GPU": 1.0}), Resources(precision="bf16"))[1] == []


def test_an_address_with_a_scheme_is_refused():
    with (
        pytest.raises(ClusterError, match=r"--address: 'ray://head:10001' is a URI; give HOST:PORT"),
        ray_cluster("ray://head:10001", verbose=False),
    ):
        pass
