"""PostgreSQL, and an MLflow server on it, on a machine of a network: started, killed, and started again."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.faults.network import Machine, strike, until

BINARIES = Path("/usr/lib/postgresql")  # Debian's
READY = 180.0  # seconds for a server to answer on a busy machine
USER = "nobody"  # PostgreSQL does not run as root
ANSWERS = "import sys, urllib.request; sys.exit(urllib.request.urlopen(sys.argv[1], timeout=5).status != 200)"


def missing() -> str:
    """Returns why there can be no PostgreSQL here; empty if there can."""
    try:
        import psycopg2  # noqa: F401  # MLflow takes it
    except ImportError:
        return "psycopg2 is not installed (pip install 'pamfn-tuning[dev]')"
    return "" if _binaries() else f"PostgreSQL is not installed (Debian's package postgresql, below {BINARIES})"


def _binaries() -> Path | None:
    found = sorted(path for path in BINARIES.glob("*/bin") if (path / "initdb").exists())
    return found[-1] if found else None


class Postgres:
    """A PostgreSQL server, and its files.

    Args:
        machine: Where it runs; it listens on that machine's address, for all who reach it there.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine, self._folder = machine, machine.folder / "postgres"
        self.uri = f"postgresql+psycopg2://mlflow@{machine.address}:5432/postgres"
        self._folder.mkdir()
        shutil.chown(self._folder, USER)
        self._run("initdb", "-D", str(self._folder / "data"), "-U", "mlflow", "-A", "trust", "--no-sync")
        with (self._folder / "data" / "pg_hba.conf").open("a", encoding="ascii") as file:
            file.write("host all all samenet trust\n")
        self.start()

    def start(self) -> None:
        """Starts it, and waits until it answers; after a kill it recovers from its log first."""
        options = f"-c listen_addresses={self._machine.address} -c unix_socket_directories={self._folder}"
        data, log = str(self._folder / "data"), str(self._folder / "log")
        self._run("pg_ctl", "-D", data, "-o", options, "-l", log, "-t", str(int(READY)), "-w", "start")

    @property
    def up(self) -> bool:
        """Whether it runs."""
        return bool(self._machine.processes("postgres:"))

    def kill(self) -> int:
        """Kills all of it with SIGKILL, and returns how many processes these were."""
        words = [str((_binaries() or BINARIES) / "postgres"), "postgres:"]
        pids = [pid for word in words for pid in self._machine.processes(word)]
        hit = strike(pids)
        until(lambda: not any(self._machine.processes(word) for word in words), READY, "PostgreSQL is gone")
        return hit

    def _run(self, program: str, *words: str) -> None:
        self._machine.run(["runuser", "-u", USER, "--", f"{_binaries()}/{program}", *words], READY)


class MlflowServer:
    """An ``mlflow server``.

    Args:
        machine: Where it runs.
        database: URI of its database.
        artefacts: Folder or URI of its artefacts.
        environment: Further variables, such as the keys of a store of artefacts.
    """

    def __init__(
        self, machine: Machine, database: str, artefacts: str, environment: dict[str, str] | None = None
    ) -> None:
        self._machine, self._environment = machine, environment or {}
        self.uri = f"http://{machine.address}:5000"
        places = ["--backend-store-uri", database, "--artifacts-destination", artefacts]
        reached = ["--host", machine.address, "--port", "5000", "--allowed-hosts", f"{machine.address}:5000"]
        self._words = [sys.executable, "-m", "mlflow", "server", *places, *reached, "--workers", "1"]
        self.start()

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        with (self._machine.folder / "mlflow.log").open("ab") as log:
            self.process = self._machine.start(
                self._words,
                out=log,
                err=subprocess.STDOUT,
                **{"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **self._environment},
            )
        until(self._answers, READY, f"the MLflow server at {self.uri} answers")

    @property
    def up(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def kill(self) -> int:
        """Kills all of it with SIGKILL, and returns how many processes these were."""
        pids = [pid for pid, command in self._machine.processes().items() if "mlflow" in command]
        hit = strike(pids)
        self.process.wait()
        return hit

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            log = (self._machine.folder / "mlflow.log").read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"the MLflow server ended with {self.process.returncode}:\n{log[-3000:]}")
        try:
            self._machine.run([sys.executable, "-c", ANSWERS, f"{self.uri}/health"], 20.0)
        except RuntimeError:
            time.sleep(0.5)
            return False
        return True
