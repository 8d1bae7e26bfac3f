"""Servers that benchmarks start and end by themselves, on loopback: MLflow's, and PostgreSQL for it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tuning.tracking import check_tracking


def free_port() -> int:
    """Returns a port that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Server:
    """An ``mlflow server`` on loopback, in a session of its own.

    Args:
        folder: Where its artefacts go, and its database unless one is named.
        database: URI of its database; a SQLite file in the folder by default.
        workers: Its processes.
    """

    def __init__(self, folder: Path, database: str | None = None, *, workers: int = 1) -> None:
        port = free_port()
        self.uri = f"http://127.0.0.1:{port}"
        database = database or f"sqlite:///{folder}/server.db"
        stored = ["--backend-store-uri", database, "--artifacts-destination", f"{folder}/kept"]
        words = [*stored, "--host", "127.0.0.1", "--port", str(port), "--workers", str(workers)]
        self._command = [sys.executable, "-m", "mlflow", "server", *words]
        self.start()

    def start(self) -> None:
        """Starts it, and waits until it answers.

        Raises:
            SystemExit: If it has ended instead.
        """
        self._process = subprocess.Popen(
            self._command,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while check_tracking(self.uri):
            if self._process.poll() is not None:
                raise SystemExit(f"{' '.join(self._command)} ended with {self._process.returncode}")
            time.sleep(0.5)

    def send(self, number: int) -> None:
        """Sends a signal to all of it."""
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """Ends it as a machine that goes down does."""
        self.send(signal.SIGKILL)
        self._process.wait()


class Postgres:
    """A PostgreSQL server over a folder of its own, on loopback; it runs as nobody where this process is root's.

    Args:
        folder: A short path: its socket lies there.

    Raises:
        SystemExit: If PostgreSQL is not installed, or does not start.
    """

    def __init__(self, folder: Path) -> None:
        found = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
        if not found and not shutil.which("initdb"):
            raise SystemExit(
                "PostgreSQL's initdb is not installed: apt-get install postgresql, or leave postgresql out"
            )
        self._bin = f"{max(found)}/" if found else ""
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
        if done.returncode:
            raise SystemExit(f"{program}: {done.stderr or done.stdout}")
