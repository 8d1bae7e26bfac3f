"""A head node with its job server on the loopback interface, behind a token; and a line to it that can be cut."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from launching import REPOSITORY

TOKEN = "a-token-of-a-test-" + "0" * 24
PORTS = (
    *("port", "dashboard-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port"),
    *("metrics-export-port", "ray-client-server-port", "runtime-env-agent-port"),
)


def free_ports(count: int) -> list[int]:
    """Returns ports that nobody listens on now, all different."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Head:
    """``ray start --head`` with token authentication, in a session of its own.

    Args:
        cpus: What it says it has.
        environment: Variables of its processes, such as the credentials that a study's driver finds there.
    """

    def __init__(self, cpus: int = 2, **environment: str) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="j", dir="/tmp"))
        ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.address, self.gcs = f"http://127.0.0.1:{ports['dashboard-port']}", f"127.0.0.1:{ports['port']}"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "TUNE_", "MLFLOW_", "PYTHONPATH"))}
        folder = str(Path(sys.executable).parent)
        mine = {
            "HOME": str(self.home),
            "PATH": f"{folder}:{kept['PATH']}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": TOKEN,
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "OMP_NUM_THREADS": "1",
        }
        words = ["--head", "--block", "--node-ip-address", "127.0.0.1", "--dashboard-host", "127.0.0.1"]
        words += ["--num-cpus", str(cpus), "--temp-dir", str(self.home / "r"), "--disable-usage-stats"]
        words += [word for name, port in ports.items() for word in (f"--{name}", str(port))]
        with (self.home / "head.log").open("w") as log:
            self.process = subprocess.Popen(
                [f"{folder}/ray", "start", *words],
                env={**kept, **mine, **environment},
                cwd=self.home,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def ready(self, seconds: float = 90.0) -> Self:
        """Waits until jobs are taken."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self.process.poll() is None, (self.home / "head.log").read_text()
            request = urllib.request.Request(f"{self.address}/api/jobs/", headers={"Authorization": f"Bearer {TOKEN}"})
            with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=5):
                return self
            time.sleep(0.3)
        raise AssertionError(f"no job server after {seconds} s: {(self.home / 'head.log').read_text()}")

    def stop(self) -> None:
        """Ends it and everything that it has started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self.process.pid, number)
                self.process.wait(20)
        for folder in Path("/proc").glob("[0-9]*"):  # Ray's processes have sessions of their own
            with contextlib.suppress(OSError):
                if f"HOME={self.home}\0".encode() in (folder / "environ").read_bytes():
                    os.kill(int(folder.name), signal.SIGKILL)
        shutil.rmtree(self.home, ignore_errors=True)


class Line:
    """A connection to a server through a port of its own, which can be cut and made again.

    Args:
        address: ``http://HOST:PORT`` of the server.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("http://").rpartition(":")
        self._to = (host, int(port))
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._whole = True
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Breaks every connection; new ones are refused."""
        self._whole = False
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._open.clear()

    def mend(self) -> None:
        """Lets connections through again."""
        self._whole = True

    def close(self) -> None:
        """Ends it."""
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if not self._whole:
                near.close()
                continue
            far = socket.create_connection(self._to)
            self._open |= {near, far}
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := one.recv(65536):
                other.sendall(piece)
        for each in (one, other):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


__all__ = ["REPOSITORY", "TOKEN", "Head", "Line", "free_ports"]
