"""Machines made of network namespaces: they reach each other until one is cut off, and nothing of them stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.faults.network import PREFIX, Network, remove, sweep, until

ASK = "import socket, sys; socket.create_connection((sys.argv[1], 80), timeout=1)"


def reaches(one, other) -> bool:
    try:
        one.run([sys.executable, "-c", ASK, other.address], 20.0)
    except RuntimeError as error:
        return "ConnectionRefusedError" in str(error)  # it is there, and says no
    return True


def left(network: Network) -> list[str]:
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return [*(line for line in listed.splitlines() if line.startswith(network.name)), *network.folder.glob("*")]


def test_a_machine_that_is_cut_off_is_out_of_reach_until_it_is_joined_again(namespaces):
    with Network() as network:
        one, other = network.add("one"), network.add("other")
        assert reaches(one, other)
        network.cut(other)
        assert not reaches(one, other)
        network.join(other)
        assert reaches(one, other)
    assert left(network) == []


def test_processes_files_and_namespaces_go_also_after_a_failure(namespaces):
    network, sleepers = Network(), []

    def fail() -> None:
        with network:
            machine = network.add("one")
            sleepers.append(machine.start(["sleep", "600"], out=subprocess.DEVNULL, err=subprocess.DEVNULL))
            until(lambda: machine.processes("sleep"), 10.0, "a process runs")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert left(network) == []
    assert sleepers[0].wait(5) == -9


def test_what_a_killed_run_has_left_is_removed_by_the_next_and_that_of_a_living_one_is_not(namespaces):
    dead = subprocess.Popen(["true"])
    dead.wait()
    abandoned = f"{PREFIX}{dead.pid}xabcd"
    subprocess.run(["ip", "netns", "add", f"{abandoned}-one"], check=True)
    Path("/tmp", abandoned).mkdir()
    with Network() as network:
        sweep()
        assert left(network)
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert abandoned not in listed
    assert not Path("/tmp", abandoned).exists()
    remove(network.name)  # a second time: nothing is there
