"""The study that ``benchmarks/study.py`` times, its variants, and what the journal tells of one that ran."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from workload import CLIPS

from pamfn.data.planted_sizes import SIZES
from tuning.planted import ensure_planted
from tuning.search.journal import FILE, Event, Journal
from tuning.sections import Synthetic
from tuning.tracking import read_study

REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Variant:
    """A way to run the study.

    Args:
        engine: ``resources.engine``.
        otherwise: What is otherwise in the launch; see ``study_launch.py``.
        root: Whose storage it uses: its own, or one in which another study has left its branches.
    """

    engine: str
    otherwise: str = "nothing"
    root: str = ""


VARIANTS = {
    "engine": Variant("auto"),
    "engine_warm": Variant("auto", root="engine"),
    "engine_own_branches": Variant("auto", "own-branches"),
    "reused": Variant("off"),
    "actor_per_trial": Variant("off", "no-reuse"),
}


@dataclass(frozen=True)
class Launched:
    """A study that ran.

    Args:
        began: When its command was started, in seconds since the epoch.
        ended: When that ended.
        events: Its journal.
        rows_a_step: Networks that a step of its engines trained, on average; None if it had none, or they told nothing.
    """

    began: float
    ended: float
    events: list[Event]
    rows_a_step: float | None

    @property
    def seconds(self) -> float:
        """How long the command took."""
        return self.ended - self.began

    def of(self, event: str) -> list[Event]:
        """Returns its events of one kind."""
        return [found for found in self.events if found["event"] == event]

    @property
    def configs(self) -> dict[str, Any]:
        """The configuration of every trial, by id."""
        return {event["trial"]: event["config"] for event in self.of("suggested")}

    @property
    def last(self) -> dict[str, Event]:
        """The last report of every trial, by id."""
        return {event["trial"]: event for event in self.of("reported")}

    def figures(self, replicas: int) -> dict[str, Any]:
        """Returns what it did, and when.

        Args:
            replicas: Networks a trial.
        """
        last, first = self.last.values(), self.of("launched")[0]["time"]
        end, told = max(event["time"] for event in last), self.of("reported")[0]["time"]
        epochs = sum(event["result"]["epoch"] for event in last)
        return {
            "seconds": self.seconds,
            "seconds_trials": end - first,
            "seconds_before": first - self.began,
            "seconds_to_first_rung": told - first,
            "seconds_after": self.ended - end,
            "trials": len(self.configs),
            "finished": sum(event["reason"] == "finished" for event in last),
            "epochs": epochs,
            "replica_epochs": epochs * replicas,
            "epoch_ms": 1e3 * (end - first) / (epochs * replicas),
            "branches_trained": sum(event["result"]["branches_trained"] for event in last),
            "processes": len({event["result"]["pid"] for event in self.of("reported")}),
            "concurrent": self.of("launched")[0]["concurrent"],
            "rows_a_step": self.rows_a_step,
        }


class Studies:
    """The studies of one run of the benchmark.

    Args:
        folder: Where they are kept.
        arguments: The benchmark's options.
    """

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self._folder, self._arguments = folder, arguments
        self._data = folder / "data"
        ensure_planted(Synthetic(size=arguments.size), self._data)

    @property
    def replicas(self) -> int:
        """Networks a trial."""
        return int(self._arguments.actions * self._arguments.folds)

    def run(self, name: str, round_: int, **changes: Any) -> Launched:
        """Runs a variant, and returns what came of it.

        Args:
            name: The variant.
            round_: Number of the round; every round has new folders.
            changes: Other values of the benchmark's options.

        Raises:
            SystemExit: If the study did not end as it should; the message ends with what it said.
        """
        arguments, variant = argparse.Namespace(**{**vars(self._arguments), **changes}), VARIANTS[name]
        here, root = self._folder / f"{name}{round_}", self._folder / f"{variant.root or name}{round_}" / "studies"
        here.mkdir()
        (here / "study.yaml").write_text(json.dumps(space_of(arguments, variant)), encoding="utf-8")
        words = ["--cpus", str(arguments.cpus), "--otherwise", variant.otherwise, "--space", "study.yaml"]
        words += ["--data", str(self._data), "--storage", str(root), "--name", name]
        began = time.time()
        status = self._launch(words, here)
        ended, events = time.time(), Journal(root / name / FILE).events
        reported = {event["trial"] for event in events if event["event"] == "reported"}
        if status != 0 or len(reported) != arguments.trials:
            said = (here / "out").read_text(encoding="utf-8").splitlines()
            raise SystemExit("\n".join([f"{name}: exit {status}, {len(reported)} trials have reported", *said[-30:]]))
        return Launched(began, ended, events, rows_a_step(f"sqlite:///{here / 'mlflow.db'}", name))

    def _launch(self, words: Sequence[str], here: Path) -> int:
        """Runs a launch in a folder, and returns its exit status."""
        command = [sys.executable, str(REPOSITORY / "benchmarks" / "study_launch.py"), *words]
        with (here / "out").open("w", encoding="utf-8") as out:
            settings: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": subprocess.STDOUT}
            return subprocess.run(command, cwd=here, env=self._environment(here), check=False, **settings).returncode

    def _environment(self, here: Path) -> dict[str, str]:
        """Returns an environment in which nothing is shared with other Rays of this machine."""
        others = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "TUNE_", "MLFLOW_"))}
        path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
        own = {"HOME": str(here), "RAY_TMPDIR": str(self._folder / "r"), "PYTHONPATH": path}
        return {**others, **own, "OMP_NUM_THREADS": str(self._arguments.threads)}


def rows_a_step(uri: str, name: str) -> float | None:
    """Returns how many networks a step of a study's engines trained, on average, as MLflow's system metrics tell."""
    client = MlflowClient(uri)
    run = client.get_run(read_study(uri, name).study_run_id)
    sums = {"replica_steps": 0.0, "steps": 0.0}
    for metric in run.data.metrics:
        for kind in sums:
            if re.fullmatch(rf"system/engine\d+_{kind}_per_second", metric):
                sums[kind] += sum(point.value for point in client.get_metric_history(run.info.run_id, metric))
    return sums["replica_steps"] / sums["steps"] if sums["steps"] else None


def space_of(arguments: argparse.Namespace, variant: Variant) -> dict[str, Any]:
    """Returns the space of the study; only its resources, and how many trials run at once, depend on the variant."""
    cuda, engine, cpus = arguments.device == "cuda", variant.engine == "auto", arguments.cpus
    gpu = (1.0 if engine else 1.0 / cpus) if cuda else 0
    budget = {"trials": arguments.trials, "concurrent": "auto" if engine else cpus}
    resources = {"engine": variant.engine, "devices": "auto" if cuda else cpus, "gpu": gpu}
    return {
        "version": 1,
        "data": {"action": list(SIZES[arguments.size].actions[: arguments.actions])},
        "search": {
            "fusion_nets": {"type": "int", "low": 2, "high": arguments.fusion_nets},
            "tau_init": {"type": "float", "low": 1.0, "high": 20.0, "log": True},
            "lr": {"type": "float", "low": 3e-4, "high": 1e-2, "log": True},
            "stages": {"type": "choice", "values": arguments.stages},
        },
        "fixed": {
            "width": arguments.width,
            "clip": CLIPS[arguments.size],
            "epochs": arguments.budget_epochs,
            "phase1_epochs": arguments.phase1_epochs,
            "batch_size": arguments.batch_size,
            "fine_tuned": ["audio"],
        },
        "first": {"fusion_nets": arguments.fusion_nets, "stages": arguments.stages[0]},
        "evaluation": {"folds": arguments.folds, "group": "athlete", "every": arguments.every},
        "scheduler": {"type": "none"}
        if arguments.no_stopping
        else {"type": "asha", "grace_epochs": arguments.grace_epochs},
        "searcher": {"type": "random"},
        "budget": budget,
        "resources": {**resources, "precision": arguments.precision},
        "final": {"top": 0},
        "seed": arguments.seed,
    }
