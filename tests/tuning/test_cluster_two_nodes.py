"""A study on a Ray cluster that is there: two raylets on this machine, one storage that both see."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from launching import Launch, quick, tracked

from tuning.search import Journal
from tuning.search.trials import read_trials

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

NODES = """
import time
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
cluster.add_node(num_cpus=1)
print("address", cluster.address, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module", name="address")
def _address(tmp_path_factory, launch_home):
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "nodes.py").write_text(NODES)
    nodes = Launch(folder, launch_home, module="nodes")
    try:
        nodes.wait_for("address ")
        yield nodes.out.split("address ")[1].strip()
    finally:
        nodes.kill()


@pytest.fixture(scope="module", name="study")
def _study(tmp_path_factory, launch_home, address):
    folder = tmp_path_factory.mktemp("driver")
    words = quick("--num-samples", "6", "--address", address, changes=("fixed.epochs=16", "scheduler.grace_epochs=8"))
    launch = Launch(folder, launch_home, *words)
    return folder, launch.ended(), launch.offspring()


def last_results(folder: Path) -> list[dict]:
    """Returns the last result of every trial from the study's journal."""
    journal = Journal(folder / "studies" / "quickstart" / "decisions.jsonl")
    return [held.results[-1] for held in read_trials(journal.events).values()]


def test_a_study_on_a_cluster_ends_with_exit_status_0(study):
    _, ended, left = study
    assert (ended.status, ended.err) == (0, "")
    assert left == {}


def test_trials_run_on_both_nodes(study):
    folder, *_ = study
    ran = last_results(folder)
    assert len(ran) == 6
    assert len({result["node"] for result in ran}) == 2
    assert len({result["pid"] for result in ran}) >= 2


def test_shards_branches_and_checkpoints_are_on_the_storage_that_the_nodes_share(study):
    folder, *_ = study
    studies = folder / "studies"
    results = tracked(folder)
    assert len(results.trials) == 6
    assert all(list((studies / "quickstart" / "tune" / "1" / t.trial_id).glob("checkpoint_*")) for t in results.trials)
    assert list((studies / "branches").glob("*.safetensors"))
    assert not list(studies.glob(".asked-*"))


BLIND = """
import sys
from dataclasses import replace
from tuning.launch import main
from tuning.preflight import asking

answer = asking.answer


def other(question):
    said = answer(replace(question, storage=question.storage if question.head else "/nowhere"))
    if question.head:
        return said
    return replace(said, clock=said.clock - 100, versions={**said.versions, "torch": "0.1"})


asking.answer = other
sys.exit(main(sys.argv[1:]))
"""


def test_all_that_is_wrong_with_a_node_is_told_at_once_before_anything_starts(tmp_path, launch_home, address):
    hidden = tmp_path / "tests" / "studies"
    (tmp_path / "blind.py").write_text(BLIND)
    words = quick("--address", address, "--storage", str(hidden), "--set", "resources.cpu=7")
    ended = Launch(tmp_path, launch_home, *words, module="blind").ended()
    assert ended.status == 2
    _, *faults = ended.err.splitlines()
    assert len(faults) == 3
    assert all(fault.startswith("  --address: ") for fault in faults)
    assert "resources: an engine asks for 7 CPU and 0 GPU; the nodes have 1 CPU and 0 GPU, 1 CPU and 0 GPU" in faults[0]
    assert re.search(r"node .* has torch 0\.1, and the driver .*; install the same there", faults[1])
    assert re.search(r"node .* does not see /nowhere; give a --storage that every node mounts", faults[2])
    assert not (tmp_path / "mlflow.db").exists()
    assert not hidden.parent.exists()
