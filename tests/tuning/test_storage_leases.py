"""Leases on an object store: one holder at a time, whatever becomes of it."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tuning.storage import open_store
from tuning.storage.generations import ObjectLeases, numbered

REPOSITORY = Path(__file__).resolve().parents[2]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(s3, tmp_path):
    return open_store(s3.uri(f"leases-{tmp_path.name}"))


@pytest.fixture
def elsewhere(monkeypatch):
    """Makes what is claimed from now on that of another machine, as long as it is set."""

    def set_to(machine):
        monkeypatch.setattr("tuning.storage.holders.host", lambda: machine)

    set_to("one")
    return set_to


def test_a_lease_is_held_by_one_until_it_is_released(store):
    one, other = ObjectLeases(store, 60), ObjectLeases(store, 60)
    lease, dead = one.claim("a")
    assert (lease.generation, dead) == (1, False)
    assert other.claim("a") == (None, False)
    assert one.claim("b")[0] is not None
    lease.release()
    lease.release()
    again, dead = other.claim("a")
    assert (again.generation, dead) == (2, False)
    again.release()
    assert list(store.names("a/")) == [numbered("a", 2), numbered("a", 2) + ".done"]


def test_a_silent_holder_of_another_machine_is_taken_to_be_dead_by_ones_own_clock(store, elsewhere):
    clock = Clock()
    lease, _ = ObjectLeases(store, 60).claim("a")
    elsewhere("two")
    other = ObjectLeases(store, 60, clock)
    for now in (0.0, 59.0):
        clock.now = now
        assert other.claim("a") == (None, False)
    lease.renew()
    clock.now = 61.0
    assert other.claim("a") == (None, False), "it was heard"
    clock.now = 122.0
    taken, dead = other.claim("a")
    assert (taken.generation, dead) == (2, True)


def test_a_holder_that_was_taken_over_can_neither_renew_nor_remove_its_successors_lease(store, elsewhere):
    clock = Clock()
    old, _ = ObjectLeases(store, 60).claim("a")
    elsewhere("two")
    other = ObjectLeases(store, 60, clock)
    other.claim("a")
    clock.now = 61.0
    new, _ = other.claim("a")
    new.renew()
    beat = store.names()[numbered("a", 2) + ".beat"]
    old.renew()
    old.release()
    assert store.names()[numbered("a", 2) + ".beat"] == beat
    elsewhere("three")
    assert ObjectLeases(store, 60).claim("a") == (None, False)


def test_a_claim_that_comes_late_after_its_number_was_used_and_removed_is_none(store, monkeypatch):
    late = ObjectLeases(store, 60)
    first, _ = late.claim("a")
    first.release()
    seen = store.names()
    lists = iter([seen])
    real = store.names
    held = []

    def stale(prefix=""):
        listed = next(lists, None)
        if listed is None:
            return real(prefix)
        for _ in range(2):  # meanwhile two others come; the first of them goes, and what it left is removed
            lease, _ = ObjectLeases(open_store(store.uri), 60).claim("a")
            held.append(lease)
            if len(held) == 1:
                lease.release()
        store.remove(numbered("a", 2), numbered("a", 2) + ".done")
        return listed

    monkeypatch.setattr(store, "names", stale)
    assert late.claim("a") == (None, False)
    assert ObjectLeases(open_store(store.uri), 60).claim("a") == (None, False)
    assert held[-1].generation == 3


def test_a_lease_says_who_holds_it(store):
    leases = ObjectLeases(store, 60)
    assert leases.holder("a") == {}
    leases.claim("a")
    assert leases.holder("a") == json.loads(store.read(numbered("a", 1)))
    assert {"host", "pid", "started", "token"} == set(leases.holder("a"))


CLAIMANT = """
import sys, time
from tuning.branches.leases import FolderLeases
from tuning.storage import open_store
from tuning.storage.generations import ObjectLeases

place, seconds = sys.argv[1:]
store = open_store(place)
leases = FolderLeases(store.folder, 60.0) if hasattr(store, "folder") else ObjectLeases(store, 60.0)
until = time.monotonic() + float(seconds)
while time.monotonic() < until:
    lease, _ = leases.claim("key")
    if lease is not None:
        print("holds it", flush=True)
        time.sleep(1000)
    time.sleep(0.05)
print("gives up", flush=True)
"""


def test_of_eight_that_find_the_holder_dead_one_takes_its_lease_again_and_again(place):
    """The holder is killed three times; each time one of those that wait takes over at once, and only one."""
    store = open_store(place)
    store.write("marker", b"")
    words = [sys.executable, "-c", CLAIMANT, place, "60"]
    claimants = [
        subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    try:
        for killed in range(4):
            holders = waited_for(claimants)
            assert len(holders) == 1, f"after {killed} kills"
            time.sleep(1)
            assert waited_for(claimants) == holders
            holders[0].kill()  # not reaped before the others look
            claimants.remove(holders[0])
    finally:
        for claimant in claimants:
            claimant.kill()
            claimant.communicate()


def waited_for(claimants):
    """Returns those that hold the lease, at least one, within half a minute: patience is a whole one."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        holders = [claimant for claimant in claimants if select.select([claimant.stdout], [], [], 0)[0]]
        if holders:
            return holders
        time.sleep(0.05)
    raise AssertionError("nobody took over")
