"""MLflow servers of tests, on loopback: started, stopped in their tracks, killed, and started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tuning.tracking import check_tracking


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Server:
    """An ``mlflow server`` in a session of its own.

    Args:
        folder: Where its artefacts go.
        database: Its database's URI.
    """

    def __init__(self, folder: Path, database: str) -> None:
        self.port = free_port()
        self.uri, self.kept = f"http://127.0.0.1:{self.port}", folder / "kept"
        self._words = ["--backend-store-uri", database, "--artifacts-destination", str(self.kept), "--workers", "1"]
        self.start()

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *self._words, "--host", "127.0.0.1", "--port", str(self.port)],
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 120
        while faults := check_tracking(self.uri):
            assert time.monotonic() < deadline, faults
            time.sleep(0.5)

    def send(self, number: int) -> None:
        """Sends a signal to all of it."""
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """Ends it as a machine that goes down does."""
        if self.process.poll() is None:
            self.send(signal.SIGKILL)
            self.process.wait()


class Postgres:
    """A PostgreSQL server of a folder of its own, on loopback; the test is skipped where there is none.

    Args:
        folder: A short path: its socket lies there.
    """

    def __init__(self, folder: Path) -> None:
        pytest.importorskip("psycopg2", reason="psycopg2 is not installed")
        binaries = [found for found in Path("/usr/lib/postgresql").glob("*/bin") if (found / "initdb").exists()]
        if not binaries and not shutil.which("initdb"):
            pytest.skip("PostgreSQL's initdb is not installed")
        self._bin = f"{max(binaries)}/" if binaries else ""
        self._as = ["runuser", "-u", "nobody", "--"] if os.getuid() == 0 else []
        self._data, port = folder / "data", free_port()
        if self._as:
            shutil.chown(folder, "nobody")
            folder.chmod(0o755)
        self._run("initdb", "-D", str(self._data), "-U", "mlflow", "-A", "trust", "--no-sync")
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
        self._run("pg_ctl", "-D", str(self._data), "-o", options, "-l", str(folder / "log"), "-w", "start")
        self.uri = f"postgresql+psycopg2://mlflow@127.0.0.1:{port}/postgres"

    def stop(self) -> None:
        """Ends it."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "fast", "stop")

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run([*self._as, f"{self._bin}{program}", *words], capture_output=True, text=True, cwd="/")
        assert done.returncode == 0, done.stderr or done.stdout
