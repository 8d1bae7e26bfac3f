"""What MLflow costs a study: time added to an epoch, writers at once on one file, and a server that is away.

python benchmarks/tracking.py [--trials 64] [--epochs 60] [--outage 120] [--json]

**Epoch**: trials at once, with epochs of a second, tell the real tracker of every epoch as Ray Tune's driver does, one
after the other, and go on when it returns. The tracker delivers to an ``mlflow server`` on loopback over HTTP. What is
added is the time from the end of an epoch until the trial may go on; in lockstep all trials end their epochs at once
and wait for each other. The same loop without a tracker says how much of it is the clock's.

**Writers**: eight processes begin a study each at the same time, on one SQLite file that is not there yet.

**Outage**: the server is stopped in the middle for as long as ``--outage`` says, and killed and started again before
that is over; then every point must be there once.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from servers import Server

from tuning.tracking import DataRecord, StudyRecord, Tracker
from tuning.tracking.location import client_of

REPLICAS = [f"{task}/fold{fold}/seed0" for task in ("Ball", "Clubs", "Hoop", "Ribbon") for fold in range(5)]
WRITERS = 8


def record_of(name: str, folder: Path) -> StudyRecord:
    """Returns a study as the tracker needs it, with the settings of a space of some size."""
    return StudyRecord(
        name=name,
        storage=str(folder / name),
        space_text="version: 1\n",
        space_digest="0" * 16,
        seed=0,
        data=DataRecord("rg", "0" * 64, "/data/rg"),
        searched={"lr": "1e-4 to 2e-3, log"},
        log_scaled=("lr",),
        shared={f"setting{number}": number for number in range(40)},
        first={"lr": 5e-4},
        trials=100,
    )


def result(epoch: int, score: float) -> dict[str, Any]:
    """Returns what a trial of four classes and five folds reports after an epoch."""
    scores = dict.fromkeys(REPLICAS, score)
    point = {"epoch": epoch, "val_spearman": score, "loss": 0.1, "scores": scores}
    best = {"best_val_spearman": score, "epoch": epoch, "train_seconds": float(epoch), "parameters": 18_000_000}
    return {"rung": -1, "val_spearman": score, "curve": [point], "device": "cpu", "attempt": 0, **best}


def run_epochs(tell: Callable[[str, int], None], trials: int, epochs: int, *, lockstep: bool) -> list[float]:
    """Lets trials train epochs of a second side by side; returns the seconds by which each ended late."""
    begin = time.perf_counter() + 0.5
    ends = [(begin + 1.0 + (0.0 if lockstep else number / trials), 1, f"t{number:03d}") for number in range(trials)]
    heapq.heapify(ends)
    late = []
    while ends:
        due, epoch, trial = heapq.heappop(ends)
        time.sleep(max(0.0, due - time.perf_counter()))
        tell(trial, epoch)
        now = time.perf_counter()
        late.append(now - due)
        if epoch < epochs:
            heapq.heappush(ends, ((due if lockstep else now) + 1.0, epoch + 1, trial))
    return late


def added(late: Sequence[float]) -> dict[str, float]:
    """Returns lateness in milliseconds, and its mean as percent of an epoch of a second."""
    ordered = sorted(late)
    return {
        "mean_ms": round(1000 * statistics.fmean(late), 3),
        "p99_ms": round(1000 * ordered[int(0.99 * (len(ordered) - 1))], 3),
        "max_ms": round(1000 * ordered[-1], 3),
        "percent_of_epoch": round(100 * statistics.fmean(late), 3),
    }


def missing_and_doubled(uri: str, name: str, trials: int, epochs: int) -> dict[str, int]:
    """Returns how many runs and points are not there, or there more than once."""
    client = client_of(uri)
    experiment = client.get_experiment_by_name(name).experiment_id
    runs = client.search_runs([experiment], "tags.kind = 'trial'", max_results=1000)
    named = {run.data.tags["trial_id"]: run.info.run_id for run in runs}
    counts = {"runs_missing": trials - len(named), "runs_doubled": len(runs) - len(named)}
    steps = [[item.step for item in client.get_metric_history(run, "val_spearman")] for run in named.values()]
    counts["points_missing"] = trials * epochs - sum(len(set(of)) for of in steps)
    counts["points_doubled"] = sum(len(of) - len(set(of)) for of in steps)
    return counts


def measure_epoch(folder: Path, uri: str, trials: int, epochs: int, *, lockstep: bool) -> dict[str, Any]:
    """Measures what tracking adds to an epoch."""
    name = "lockstep" if lockstep else "staggered"
    plain = run_epochs(lambda trial, epoch: None, trials, min(epochs, 10), lockstep=lockstep)
    tracker = Tracker(uri, record_of(name, folder))
    for number in range(trials):
        tracker.trial_started(f"t{number:03d}", {"lr": 1e-4 * (number + 1)})
    cpu = time.process_time()
    late = run_epochs(
        lambda trial, epoch: tracker.trial_reported(trial, result(epoch, epoch / epochs)),
        trials, epochs, lockstep=lockstep,
    )  # fmt: skip
    cpu, ended = time.process_time() - cpu, time.perf_counter()
    for number in range(trials):
        tracker.trial_ended(f"t{number:03d}", "finished")
    account = tracker.end_study("finished")
    return {
        "with_tracking": added(late),
        "without": added(plain),
        "driver_processor_percent": round(100 * cpu / epochs, 1),
        "delivered_after_seconds": round(time.perf_counter() - ended, 1),
        "writes": account.delivered,
        **missing_and_doubled(uri, name, trials, epochs),
    }


def write_study(uri: str, name: str, folder: Path, trials: int, epochs: int) -> None:
    """Begins and ends a study; the process of a writer."""
    tracker = Tracker(uri, record_of(name, folder))
    for epoch in range(1, epochs + 1):
        for number in range(trials):
            if epoch == 1:
                tracker.trial_started(f"t{number:03d}", {"lr": 1e-4 * (number + 1)})
            tracker.trial_reported(f"t{number:03d}", result(epoch, epoch / epochs))
        time.sleep(0.1)
    if tracker.end_study("finished").due:
        raise SystemExit(1)


def measure_writers(folder: Path, trials: int = 4, epochs: int = 50) -> dict[str, Any]:
    """Measures eight processes at once on one SQLite file."""
    uri, began = f"sqlite:///{folder}/writers.db", time.perf_counter()
    command = [sys.executable, __file__, "--writer", uri, str(folder), str(trials), str(epochs)]
    writers = [subprocess.Popen([*command, f"writer{number}"]) for number in range(WRITERS)]
    failed = sum(writer.wait() != 0 for writer in writers)
    seconds = round(time.perf_counter() - began, 1)
    lost = [missing_and_doubled(uri, f"writer{number}", trials, epochs) for number in range(WRITERS)]
    totals = {key: sum(of[key] for of in lost) for key in lost[0]}
    return {"processes": WRITERS, "failed": failed, "points": WRITERS * trials * epochs, "seconds": seconds, **totals}


def measure_outage(folder: Path, server: Server, trials: int, seconds: float) -> dict[str, Any]:
    """Measures a study whose server is stopped for some time, then killed with what it was asked meanwhile."""
    epochs = int(seconds) + 20
    tracker = Tracker(server.uri, record_of("outage", folder))
    for number in range(trials):
        tracker.trial_started(f"t{number:03d}", {"lr": 1e-4 * (number + 1)})

    def stop_and_kill() -> None:
        time.sleep(10.0)
        server.send(signal.SIGSTOP)
        time.sleep(seconds * 0.75)
        server.kill()
        time.sleep(seconds * 0.25)
        server.start()

    breaker = threading.Thread(target=stop_and_kill)
    breaker.start()
    late = run_epochs(
        lambda trial, epoch: tracker.trial_reported(trial, result(epoch, epoch / epochs)),
        trials, epochs, lockstep=False,
    )  # fmt: skip
    waited = tracker.settle(0.0).due
    breaker.join()
    account = tracker.end_study("finished")
    lost = missing_and_doubled(server.uri, "outage", trials, epochs)
    return {"seconds": seconds, "with_tracking": added(late), "due_at_end": waited, "writes": account.delivered, **lost}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=60, help="of a second each")
    parser.add_argument("--outage", type=float, default=0.0, metavar="SECONDS", help="also measure one (default: none)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, on one line")
    parser.add_argument("--writer", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.writer:
        uri, folder, trials, epochs, name = arguments.writer
        write_study(uri, name, Path(folder), int(trials), int(epochs))
        return
    found: dict[str, Any] = {"trials": arguments.trials, "epochs": arguments.epochs, "processors": os.cpu_count()}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        found["writers"] = measure_writers(folder)
        server = Server(folder)
        try:
            for lockstep in (False, True):
                name = "epoch_lockstep" if lockstep else "epoch_staggered"
                measured = measure_epoch(folder, server.uri, arguments.trials, arguments.epochs, lockstep=lockstep)
                found[name] = measured
            if arguments.outage:
                found["outage"] = measure_outage(folder, server, arguments.trials, arguments.outage)
        finally:
            server.kill()
    print(json.dumps(found, indent=None if arguments.json else 2))


if __name__ == "__main__":
    main()
