"""Machines made of network namespaces: each has an address of its own, and one can be cut off from the others.

The bridge that joins them lies in a namespace, too, so that nothing of this machine's own network changes, and all of
it goes with the namespaces. Names begin with the process that made them: what a killed run has left, the next removes.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

REPOSITORY = Path(__file__).resolve().parents[2]
PREFIX = "pf"
FOLDER = Path("/tmp")  # short: Ray's sockets lie below it
NET = "10.77.0"  # of namespaces that are joined to nothing else
GONE = 20.0  # seconds for killed processes to be gone
_OURS = re.compile(rf"{PREFIX}(\d+)x[0-9a-f]+")


def missing() -> str:
    """Returns why there can be no namespaces here; empty if there can."""
    if os.getuid() != 0:
        return "network namespaces take root"
    if shutil.which("ip") is None:
        return "network namespaces take the command `ip` (Debian's iproute2)"
    name = f"{PREFIX}{os.getpid()}x{secrets.token_hex(2)}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"no network namespace can be made here: {made.stderr.strip()}"
    _ip("netns", "del", name)
    return ""


class Network:
    """Machines on one bridge, inside a ``with`` block; afterwards nothing of them is left.

    Attributes:
        folder: Where each machine has a folder of its own; all of them see it.
    """

    def __init__(self) -> None:
        sweep()
        self.name = f"{PREFIX}{os.getpid()}x{secrets.token_hex(2)}"
        self.folder, self._switch = FOLDER / self.name, f"{self.name}-switch"
        self.token = secrets.token_hex(32)
        self.machines: dict[str, Machine] = {}

    def __enter__(self) -> Self:
        self.folder.mkdir(mode=0o755)
        _ip("netns", "add", self._switch)
        _ip("-n", self._switch, "link", "add", "name", "bridge", "type", "bridge", "stp_state", "0")
        _ip("-n", self._switch, "link", "set", "dev", "bridge", "up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        remove(self.name)

    def add(self, name: str) -> Machine:
        """Returns a new machine that reaches all others.

        Args:
            name: Its name, at most eight characters.
        """
        machine = Machine(self, name, len(self.machines) + 1)
        port = machine.port
        _ip("netns", "add", machine.namespace)
        _ip("-n", self._switch, "link", "add", "name", port, "type", "veth", "peer", "name", "eth0", "netns",
            machine.namespace)  # fmt: skip
        _ip("-n", self._switch, "link", "set", "dev", port, "up")
        for device in ("lo", "eth0"):
            _ip("-n", machine.namespace, "link", "set", "dev", device, "up")
        _ip("-n", machine.namespace, "addr", "add", f"{machine.address}/24", "dev", "eth0")
        self.machines[name] = machine
        self.join(machine)
        return machine

    def cut(self, machine: Machine) -> None:
        """Cuts a machine off: packets vanish, and nobody is told."""
        _ip("-n", self._switch, "link", "set", "dev", machine.port, "nomaster")

    def join(self, machine: Machine) -> None:
        """Joins a machine to the others (again)."""
        _ip("-n", self._switch, "link", "set", "dev", machine.port, "master", "bridge")


class Machine:
    """One namespace, with an address, a home and a folder for temporary files.

    Args:
        network: The network that it is in.
        name: Its name.
        number: Its number there, from 1.
    """

    def __init__(self, network: Network, name: str, number: int) -> None:
        self.name, self.namespace, self.port = name, f"{network.name}-{name}", f"port{number}"
        self.address = f"{NET}.{number + 1}"
        self.folder = network.folder / name
        self.home, self.temporary = self.folder / "home", self.folder / "tmp"
        for folder in (self.home / ".ray", self.temporary):
            folder.mkdir(parents=True)
        token = self.home / ".ray" / "auth_token"
        token.touch(mode=0o600)
        token.write_text(network.token, encoding="ascii")

    def environment(self, **more: str) -> dict[str, str]:
        """Returns the environment of its processes: nothing of Ray's, Tune's or MLflow's comes from outside."""
        outside = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "TUNE_", "MLFLOW_", "AWS_"))}
        own = {"HOME": str(self.home), "RAY_TMPDIR": str(self.temporary), "TMPDIR": str(self.temporary)}
        paths = {"PYTHONPATH": str(REPOSITORY), "PATH": f"{Path(sys.executable).parent}:{outside.get('PATH', '')}"}
        return {**outside, **own, **paths, "RAY_AUTH_MODE": "token", "OMP_NUM_THREADS": "1", **more}

    def start(
        self, words: Sequence[str], *, out: IO[Any] | int, err: IO[Any] | int, folder: Path | None = None, **more: str
    ) -> subprocess.Popen[bytes]:
        """Starts a program on it, in a session of its own.

        Args:
            words: Its command line.
            out: Where its output goes.
            err: Where its errors go.
            folder: Its working directory; by default the machine's.
            more: Further variables of its environment.
        """
        return subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, *words],
            cwd=folder or self.folder,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )

    def run(self, words: Sequence[str], seconds: float = 120.0, **more: str) -> str:
        """Runs a program on it to its end, and returns what it wrote.

        Raises:
            RuntimeError: If it fails, or does not end in time; what it started itself runs on.
        """
        log = self.folder / f"{secrets.token_hex(4)}.log"  # a pipe would be held open by what it starts
        with log.open("wb") as file:
            process = self.start(words, out=file, err=subprocess.STDOUT, **more)
            try:
                status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                status = process.wait()
        said = log.read_text(encoding="utf-8", errors="replace")
        if status:
            raise RuntimeError(f"{self.name}: {' '.join(words)} ended with {status}:\n{said[-3000:]}")
        return said

    def processes(self, begins: str = "") -> dict[int, str]:
        """Returns its processes with their command lines.

        Args:
            begins: How the command line has to begin, or for a path its last part.
        """
        found = {}
        for pid in _pids(self.namespace):
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if command.startswith(begins) or command.split(" ")[0].rpartition("/")[2] == begins:
                    found[pid] = command
        return found

    def kill(self) -> None:
        """Ends all that runs on it, as a machine that loses its power does."""
        _kill(self.namespace)


def until(what: Callable[[], Any], seconds: float, why: str) -> Any:
    """Waits for something that is not false, and returns it.

    Raises:
        TimeoutError: If it does not come.
    """
    end = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s: {why}")
        time.sleep(0.1)
    return found


def strike(pids: Sequence[int], number: int = signal.SIGKILL) -> int:
    """Sends processes a signal; returns how many were there to get it."""
    hit = 0
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            hit += 1
    return hit


def sweep() -> None:
    """Removes what runs have left that were killed themselves."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    for name in {match.group() for match in _OURS.finditer(listed)} | {p.name for p in FOLDER.glob(f"{PREFIX}*x*")}:
        match = _OURS.fullmatch(name)
        if match and not Path("/proc", match.group(1)).exists():
            remove(name)


def remove(name: str) -> None:
    """Removes a network: its processes, its namespaces, its mounts and its files."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    namespaces = [line.split()[0] for line in listed.splitlines() if line.startswith(f"{name}-")]
    for namespace in namespaces:
        _kill(namespace)
    for namespace in namespaces:
        _ip("netns", "del", namespace)
    folder = FOLDER / name
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((mount for mount in mounts if mount.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=True)
    shutil.rmtree(folder, ignore_errors=True)


def _kill(namespace: str) -> None:
    end = time.monotonic() + GONE
    while pids := _pids(namespace):
        strike(pids)
        if time.monotonic() > end:
            raise TimeoutError(f"{namespace}: processes {pids} do not end")
        time.sleep(0.1)


def _pids(namespace: str) -> list[int]:
    """Returns the processes of a namespace, without those that are gone and only not yet waited for."""
    listed = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False).stdout
    return [int(pid) for pid in listed.split() if not _over(pid)]


def _over(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")
