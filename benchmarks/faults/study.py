"""A small planted study on the cluster of a laboratory: launched, watched, resumed, and read from its journal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.faults.network import Machine, until

SPACE = {
    "data.action": "Ball",
    "evaluation.folds": "2",
    "fixed.width": "8",
    "fixed.epochs": "24",
    "fixed.phase1_epochs": "2",
    "scheduler.grace_epochs": "3",
    "scheduler.reduction": "2",
    "searcher.type": "random",
    "budget.concurrent": "2",
    "final.top": "0",
}
"""Rungs at epochs 3, 6, 12 and 24. A configuration depends on its number alone, so that it is the same in every run."""

ENDS = 900.0  # seconds for a study to end on a busy machine
MODES = {"engines": "auto", "processes": "off"}

Event = Mapping[str, Any]


class StudyRun:
    """One study, through all its launches.

    Args:
        machine: Where its driver runs.
        name: Its name.
        words: The command line after ``python -m tuning.launch``, without name and settings.
        storage: Folder of all studies.
        settings: Of the space; those of ``SPACE`` hold besides.

    Attributes:
        launches: How often it was launched.
    """

    def __init__(
        self, machine: Machine, name: str, words: list[str], storage: Path, settings: Mapping[str, str]
    ) -> None:
        changes = [word for item in {**SPACE, **settings}.items() for word in ("--set", "=".join(item))]
        self._machine, self.name, self._storage = machine, name, storage
        self._words = ["--space", "quickstart.yaml", "--name", name, "--storage", str(storage), *words, *changes]
        self.launches = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.folder = storage / name

    def launch(self) -> None:
        """Launches it, or where it was launched before, resumes it."""
        words = [*self._words, *(["--resume"] if (self.folder / "study.json").exists() else [])]
        self.launches += 1
        with self._log("out").open("wb") as out, self._log("err").open("wb") as err:
            self.process = self._machine.start([sys.executable, "-m", "tuning.launch", *words], out=out, err=err)

    @property
    def running(self) -> bool:
        """Whether its driver runs."""
        return self.process is not None and self.process.poll() is None

    @property
    def out(self) -> str:
        """What all its launches have written."""
        logs = (self._machine.folder / f"{self.name}.{number}.out" for number in range(1, self.launches + 1))
        return "".join(log.read_text(encoding="utf-8", errors="replace") for log in logs)

    @property
    def err(self) -> str:
        """What its last launch has written to standard error."""
        return self._log("err").read_text(encoding="utf-8", errors="replace")

    def kill(self) -> int:
        """Kills its driver with SIGKILL; what that has started has to see by itself that it is gone."""
        assert self.process is not None  # nobody kills what was never launched
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        return 1

    def wait_for(self, what: Callable[[], Any], why: str, seconds: float = ENDS) -> Any:
        """Waits for something that is not false, and returns it.

        Raises:
            RuntimeError: If the study ends before.
        """

        def found() -> Any:
            there = what()
            if not there and not self.running:
                status = self.process.returncode if self.process else None
                raise RuntimeError(
                    f"{self.name} ended with {status} before {why}:\n{self.out[-3000:]}\n{self.err[-3000:]}"
                )
            return there

        return until(found, seconds, f"{self.name}: {why}")

    def end(self, seconds: float = ENDS) -> int:
        """Waits for the end of this launch, and returns its exit status."""
        assert self.process is not None  # nobody waits for what was never launched
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"{self.name} did not end:\n{self.out[-3000:]}\n{self.err[-3000:]}") from None

    def events(self) -> list[Event]:
        """Returns what its journal tells of so far."""
        journal = self.folder / "decisions.jsonl"
        content = journal.read_bytes() if journal.exists() else b""
        return [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]

    def reports(self) -> list[Event]:
        """Returns the reports of its trials so far."""
        return [event for event in self.events() if event["event"] == "reported"]

    def running_trials(self) -> set[str]:
        """Returns the trials that have reported and have not ended."""
        return {event["trial"] for event in self.reports()} - ended(self.events())

    def running_on(self, node: str) -> set[str]:
        """Returns the trials that run and reported last from a node of Ray."""
        last = {event["trial"]: event["result"].get("node") for event in self.reports()}
        return {trial for trial in self.running_trials() if last[trial] == node}

    def report_after(self, moment: float, trials: set[str]) -> float | None:
        """Returns when the last of some trials has reported again after a moment; None while one has not."""
        first: dict[str, float] = {}
        for event in self.reports():
            if event["time"] > moment:
                first.setdefault(event["trial"], event["time"])
        times = [first.get(trial) for trial in trials]
        return None if None in times else max((t for t in times if t is not None), default=moment)

    def tracking(self, uri: str) -> dict[str, Any]:
        """Returns what MLflow holds of it; see `benchmarks.faults.reading`."""
        words = [sys.executable, "-m", "benchmarks.faults.reading", uri, self.name]
        return json.loads(self._machine.run(words).splitlines()[-1])

    def _log(self, kind: str) -> Path:
        return self._machine.folder / f"{self.name}.{self.launches}.{kind}"


def ended(events: list[Event]) -> set[str]:
    """Returns the trials that have ended."""
    return {e["trial"] for e in events if e["event"] == "ended" or e.get("verdict") == "ends"}


def now() -> float:
    """Returns the time as journals have it."""
    return time.time()
