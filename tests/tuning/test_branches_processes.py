"""The store among real processes: every branch is trained once, whatever becomes of who trains it."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tuning.branches import BranchStore, branch_key
from tuning.storage import open_store

KEYS = [branch_key(fold=fold) for fold in range(4)]
REPOSITORY = Path(__file__).resolve().parents[2]

STUDY = """
import sys, time
import torch
from tuning.branches import BranchStore

root, log, seconds, chunk, *keys = sys.argv[1:]

def train(keys):
    for key in keys:
        with open(log, "a") as file:
            file.write(key + chr(10))
        time.sleep(float(seconds))
        yield key, {"weight": torch.full((3,), float(int(key[:4], 16)))}, {}

store = BranchStore(root, heartbeat=0.1, patience=60)
fetched = store.fetch(keys, train, chunk=int(chunk) or None)
print(",".join(str(float(fetched[key]["weight"][0])) for key in keys))
"""


@pytest.fixture
def launch(tmp_path, place):
    """Starts a study's process, which writes the keys that it trains to a log; kills what is left at the end."""
    started = []

    def start(log="log", *, seconds=0.3, chunk=0, keys=KEYS):
        arguments = [place, str(tmp_path / log), str(seconds), str(chunk), *keys]
        command = [sys.executable, "-c", STUDY, *arguments]
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def trained(tmp_path, log="log"):
    path = tmp_path / log
    return path.read_text().split() if path.exists() else []


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.02)


def answers(process):
    out, _ = process.communicate(timeout=150)
    assert process.returncode == 0
    return out.strip()


EXPECTED = ",".join(str(float(int(key[:4], 16))) for key in KEYS)


def test_two_studies_at_once_train_each_branch_once(launch, tmp_path):
    first, second = launch("first", chunk=1), launch("second", chunk=1)
    assert answers(first) == answers(second) == EXPECTED
    both = trained(tmp_path, "first") + trained(tmp_path, "second")
    assert sorted(both) == sorted(KEYS)


def test_a_study_takes_over_at_once_from_a_writer_that_was_killed(launch, tmp_path, place):
    writer = launch(seconds=0.2)
    wait_until(lambda: len(trained(tmp_path)) >= 2)
    waiting = launch("second", seconds=0)
    time.sleep(0.1)
    writer.kill()  # not reaped before the other one looks: a dead process that still has its number
    killed_at = time.monotonic()
    assert answers(waiting) == EXPECTED
    assert time.monotonic() - killed_at < 30, "patience is 60 s, but a dead process of this machine is seen at once"
    store = BranchStore(place, near=tmp_path / "fresh")
    finished_by_writer = set(KEYS) - set(trained(tmp_path, "second"))
    assert KEYS[0] in finished_by_writer
    assert all(store.load(key) is not None for key in KEYS)


def test_of_many_that_take_over_one_dead_lease_one_trains(launch, tmp_path, place):
    writer = launch(seconds=60, keys=KEYS[:1])
    wait_until(lambda: trained(tmp_path))
    writer.kill()
    writer.wait()
    heirs = [launch("heirs", seconds=0.5, keys=KEYS[:1]) for _ in range(4)]
    assert {answers(heir) for heir in heirs} == {EXPECTED.split(",")[0]}
    assert trained(tmp_path, "heirs") == KEYS[:1]
    there = [name for name in open_store(place).names() if not name.startswith(f"{KEYS[0]}.lease/")]
    assert there == [f"{KEYS[0]}.safetensors"]
