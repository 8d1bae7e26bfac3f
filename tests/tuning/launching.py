"""Launches in processes of their own: started, watched, interrupted and killed as a person or a machine would."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning.tracking import StudyResults, read_study

REPOSITORY = Path(__file__).resolve().parents[2]
MARK = "LAUNCH_OF_A_TEST"  # in the environment of a launch and of everything that it starts

QUICK = (
    *("fixed.width=8", "fixed.epochs=4", "fixed.phase1_epochs=2", "scheduler.grace_epochs=1", "scheduler.reduction=2"),
    *("searcher.warmup=3", "final.seeds=1", "evaluation.folds=2"),
)
"""Rungs at epochs 1, 2 and 4; a trial takes about a second once its process is there."""


@dataclass
class Ended:
    """A launch that has ended."""

    status: int
    out: str
    err: str


class Launch:
    """One ``python -m tuning.launch`` in a session of its own.

    Args:
        folder: Its working directory.
        home: Its home directory; Ray keeps a token there.
        words: The command line.
        module: What is run.
    """

    def __init__(self, folder: Path, home: Path, *words: str, module: str = "tuning.launch") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.mark = folder, uuid.uuid4().hex
        paths = {"HOME": str(home), "RAY_TMPDIR": str(home / "r"), "PYTHONPATH": str(REPOSITORY)}
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "TUNE_", "MLFLOW_"))}
        name = f"{len(list(folder.glob('*.out')))}"
        self._out, self._err = folder / f"{name}.out", folder / f"{name}.err"
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *words],
                cwd=folder,
                env={**environment, **paths, MARK: self.mark, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def out(self) -> str:
        """What it has written so far."""
        return self._out.read_text()

    def wait_until(self, what: Callable[[], Any], seconds: float = 120.0) -> Any:
        """Waits for something that is not false and returns it; fails if the launch ends before."""
        until = time.monotonic() + seconds
        while not (found := what()):
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.out}\n{self.err}"
            assert time.monotonic() < until, f"not within {seconds} s:\n{self.out}"
            time.sleep(0.05)
        return found

    def wait_for(self, pattern: str) -> None:
        """Waits for a line of its output."""
        self.wait_until(lambda: re.search(pattern, self.out))

    @property
    def err(self) -> str:
        """What it has written to standard error so far."""
        return self._err.read_text()

    def ended(self, seconds: float = 240.0) -> Ended:
        """Waits for its end."""
        try:
            self.process.wait(seconds)
        finally:
            self.kill()
        return Ended(self.process.returncode, self.out, self.err)

    def kill(self) -> None:
        """Kills all of it, as a machine that goes down does; does nothing where nothing is left."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        for pid in self.offspring():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def offspring(self) -> dict[int, str]:
        """Returns the processes that it has started and that still run, with their command lines."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes():
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def workers(self) -> list[int]:
        """Returns the processes that trials have to themselves."""
        return [pid for pid, command in self.offspring().items() if command.startswith("ray::_Inner")]

    def engines(self) -> list[int]:
        """Returns the processes that hold a device."""
        return [pid for pid, command in self.offspring().items() if command.startswith("ray::Engine")]


def listening_on(pids: Iterable[int]) -> set[str]:
    """Returns the addresses, in the kernel's spelling, on which processes listen for TCP connections."""
    lines = [line.split() for kind in ("tcp", "tcp6") for line in Path(f"/proc/net/{kind}").read_text().splitlines()]
    address_of = {line[9]: line[1].partition(":")[0] for line in lines if line[3] == "0A"}
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            names = [str(handle.readlink()) for handle in Path(f"/proc/{pid}/fd").iterdir()]
            found |= {address_of[name[8:-1]] for name in names if name[8:-1] in address_of}
    return found


def sets(*changes: str) -> list[str]:
    """Returns options that change values of the space."""
    return [word for change in changes for word in ("--set", change)]


def quick(*words: str, changes: tuple[str, ...] = ()) -> list[str]:
    """Returns the command line of the quick-start study made quicker still."""
    return ["--space", "quickstart.yaml", *sets(*QUICK, *changes), *words]


SEQUENTIAL = tuple(quick("--num-samples", "12", "--max-concurrent", "1", "--seed", "3"))
"""A study whose trials run one after the other: its suggestions and decisions depend on nothing else."""


def tracked(folder: Path, name: str = "quickstart") -> StudyResults:
    """Returns what MLflow holds of a study that was launched in a folder."""
    return read_study(f"sqlite:///{folder / 'mlflow.db'}", name)


def curves(results: StudyResults) -> dict[str, list[tuple[int, float]]]:
    """Returns the curve of every trial by its configuration."""
    return {str(sorted(trial.values.items())): list(trial.curve) for trial in results.trials}
