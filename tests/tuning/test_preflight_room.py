"""Whether a cluster can ever hold what trials run on, and whether its disks have room."""

from __future__ import annotations

import pytest
from planted_study import small_study

from pamfn.data.shards import read_table_of_contents
from tuning.cluster import Room
from tuning.forecast import disk as bytes_of
from tuning.preflight.disk import disk_faults, forecast
from tuning.preflight.growing import room_in
from tuning.sections import Resources

GPU = {"name": "gpu", "resources": {"CPU": 8, "GPU": 2}, "max_workers": 3}


def room(*nodes: dict[str, float], types=None, grows=False, **resources) -> tuple[Room, list[str], list[str]]:
    return room_in(nodes, types, Resources(**resources), grows=grows)


def test_nodes_that_are_there_hold_what_they_hold():
    assert room({"CPU": 2.0}, {"CPU": 3.0}) == (Room(1.0, 0.0, 5), [], [])


def test_what_no_node_can_ever_hold_is_a_fault_that_names_them_all():
    _, faults, _ = room({"CPU": 2.0}, types=[GPU], cpu=16.0)
    assert faults == [
        "resources: an engine asks for 16 CPU and 1 GPU; the nodes have 2 CPU and 0 GPU; those that can be added "
        "8 CPU and 2 GPU"
    ]


def test_an_empty_cluster_that_can_grow_is_waited_for():
    found, faults, notes = room({"CPU": 2.0}, types=[GPU])
    assert (found, faults) == (Room(1.0, 1.0, 1), [])
    assert notes == ["an engine asks for 1 CPU and 1 GPU, and no node holds that now; the study waits for gpu"]


def test_a_kind_of_node_that_may_not_be_added_is_none():
    assert room({"CPU": 0.0}, types=[{**GPU, "max_workers": 0}])[1]


def test_more_engines_than_there_can_ever_be_are_a_fault_with_the_number_that_fits():
    assert room({"CPU": 2.0}, types=[GPU], devices=6)[1] == []
    assert room({"CPU": 2.0}, types=[GPU], devices=7)[1] == [
        "resources.devices: 7 engines are asked for, and 6 can ever be there; ask for 6, or raise max_workers"
    ]


def test_where_nothing_is_known_of_growth_more_engines_are_waited_for():
    _, faults, notes = room({"CPU": 2.0}, devices=3)
    assert (faults, notes) == (
        [],
        ["resources.devices: 3 engines are asked for, and 2 fit now; the others wait for nodes that are added"],
    )
    found, faults, notes = room({"CPU": 0.5}, grows=True)
    assert (found.trials, faults) == (1, [])
    assert notes[0].endswith("the study waits for an autoscaler")


@pytest.mark.parametrize("types", [None, [{**GPU, "resources": {"CPU": 8}}]])
def test_bf16_takes_a_gpu_that_is_there_or_can_be(types):
    assert room({"CPU": 2.0}, types=types, precision="bf16")[1] == [
        "resources.precision: bf16 takes an engine on a GPU; use tf32 or float32 here"
    ]
    assert room({"CPU": 2.0}, types=[GPU], precision="bf16")[1] == []


def test_a_study_that_may_not_fit_is_refused_and_one_that_goes_on_is_warned(tmp_path, planted_shards, monkeypatch):
    study = small_study(planted_shards, tmp_path / "studies", "budget.trials=4")
    contents, room = read_table_of_contents(planted_shards)[1], Room(1.0, 0.0, 2)
    assert disk_faults(study, contents, room, resume=False) == ([], [])
    (place,) = {place.needed for place in forecast(study, contents, room).places}
    monkeypatch.setattr(bytes_of, "free_disk", lambda folder: place - 1)
    (fault,), notes = disk_faults(study, contents, room, resume=False)
    assert "the study may write " in fault
    assert "are free; free some, give another --storage, or ask for less (tracking.checkpoints: top" in fault
    assert notes == []
    assert disk_faults(study, contents, room, resume=True) == ([], [fault])
    monkeypatch.setattr(bytes_of, "free_disk", lambda folder: None)
    assert disk_faults(study, contents, room, resume=False) == ([], [])


def test_a_larger_cluster_writes_more_at_once(tmp_path, planted_shards):
    study = small_study(
        planted_shards, tmp_path / "studies", "resources.engine=off", "budget.concurrent=auto", "budget.trials=40"
    )
    contents = read_table_of_contents(planted_shards)[1]
    one, many = (forecast(study, contents, Room(1.0, 0.0, trials)).running for trials in (1, 16))
    assert many == 16 * one
