"""How far one driver goes: decisions, memory and tracking of a study of thousands of trials, a thousand at once.

python benchmarks/scale.py --trials 10000 --concurrent 1000 --tracking off
python benchmarks/scale.py --trials 10000 --concurrent 1000 --mode promote --searcher random --tracking postgresql
python benchmarks/scale.py --trials 1000 --concurrent 100 --tracking sqlite --json

The study is ``rg.yaml``: four classes, five folds, rungs at epochs 20, 60, 180 and 400, a point of the curve with 20
scores every ten epochs. Its search, its journal (each event on the disk before it is acted on), its tracker, its
console and its keeper of checkpoints are the real ones; what trains is imagined (``scale_executor.py``) and takes no
time, so the driver decides as fast as it can. One row is printed for every twentieth of the trials:

``decisions_s``: suggestions, verdicts, promotions and ends a second of wall time; ``cpu_s``: seconds of the driver's
thread in this row, and of them in ``suggest`` (what to run next), ``judge`` (results), ``track`` (into the outbox),
``console`` and ``keep`` (checkpoints of ended trials); ``other_cpu_s``: seconds of the thread that delivers to MLflow;
``rss_mb``: memory of the driver; ``journal_mb``; ``due``: writes that MLflow has not got yet.

Then ``resume``: seconds until a second launch has read the journal back, and has told MLflow everything again (which
changes nothing there); ``read`` and ``report``: seconds to read the study back from MLflow and to write its report.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from scale_executor import Executor
from servers import Postgres, Server
from sqlalchemy import create_engine, text

from tuning.console import Console
from tuning.events import TuneEvents
from tuning.keeping import FOLDER, CheckpointKeeper
from tuning.report import write_report
from tuning.search import Journal, StudySearch
from tuning.search.journal import FILE
from tuning.space import load_space
from tuning.study import Study, Task
from tuning.study_search import search_of
from tuning.tracking import StudyRecord, Tracker, read_study

ROWS = 20
STEPS = ("suggest", "judge", "track", "console", "keep")
BEGAN = 1_795_000_000.0  # on the imagined clock


def study_of(arguments: argparse.Namespace, folder: Path, uri: str) -> Study:
    """Returns the study, as a launch would resolve it from its space file and its data."""
    sets = [
        *(f"budget.trials={arguments.trials}", f"budget.concurrent={arguments.concurrent}", f"seed={arguments.seed}"),
        *(f"scheduler.mode={arguments.mode}", f"searcher.type={arguments.searcher}"),
    ]
    space = load_space("rg.yaml", sets)
    space = space.model_copy(update={"data": space.data.model_copy(update={"path": "/data/rg"})})
    return Study(
        name="scale",
        space=space,
        tasks=tuple(Task(action, "total", action) for action in ("Ball", "Clubs", "Hoop", "Ribbon")),
        modalities=("rgb", "flow", "audio"),
        data="/data/rg",
        digest="0" * 64,
        root=str(folder / "studies"),
        tracking_uri=uri,
    )


class Stopwatch:
    """Seconds of the driver's thread by what it did."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(STEPS, 0.0)

    def timing(self, step: str, owner: Any, *names: str) -> None:
        """Times methods of an object from now on."""
        for name in names:
            setattr(owner, name, self._timed(step, getattr(owner, name)))

    def _timed(self, step: str, call: Any) -> Any:
        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return call(*arguments, **named)
            finally:
                self.spent[step] += time.thread_time() - began

        return timed


class Driver:
    """What a launch has in its driver, over an imagined cluster.

    Args:
        study: The study.
        out: Where its console writes.
        tracked: Whether MLflow is told.
        log_format: The console's.
        resume: Whether this is a launch after another.
    """

    def __init__(self, study: Study, out: Any, *, tracked: bool, log_format: str, resume: bool = False) -> None:
        self.watch, self.study = Stopwatch(), study
        folder = Path(study.storage)
        folder.mkdir(parents=True, exist_ok=True)
        space = study.space
        names = dict(metric=study.metric, log_format=log_format, out=out)
        self.console = Console(study.name, list(space.search), space.budget.trials, **names)
        self.tracker = Tracker(study.tracking_uri, StudyRecord.of(study), resume=resume) if tracked else None
        keeper = CheckpointKeeper(folder / FOLDER, space.tracking.checkpoints, self.tracker)  # type: ignore[arg-type]
        concurrent = space.budget.concurrent
        self.search: StudySearch = search_of(study, int(concurrent), Journal(folder / FILE, lambda: self.now))
        listeners = {"track": self.tracker, "console": self.console, "keep": keeper}
        present = {step: listener for step, listener in listeners.items() if listener is not None}
        self.events = TuneEvents(self.search, list(present.values()))
        told = ("trial_started", "trial_reported", "trial_waits", "trial_retried", "trial_ended")
        for step, listener in present.items():
            self.watch.timing(step, listener, *told)
        self.watch.timing("suggest", self.search, "next")
        self.watch.timing("judge", self.search, "report")
        epochs = space.recipe(space.first_point()).epochs_of(study.tasks[0].name)
        rungs = [round(share * epochs) for share in study.rungs(space.recipe(space.first_point()))]
        self.executor = Executor(self.search, self.events, rungs, BEGAN)

    @property
    def now(self) -> float:
        """The imagined time."""
        return self.executor.now if hasattr(self, "executor") else BEGAN

    @property
    def due(self) -> int:
        """Writes that MLflow has not got."""
        return 0 if self.tracker is None else self.tracker.due

    @property
    def decisions(self) -> int:
        """Everything that the search has decided: what is in its journal."""
        return len(self.search.journal.events)


def rss_mb() -> float:
    """Returns the memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * resource.getpagesize() / 1e6, 1)


class Rows:
    """The rows of the table: what happened since the one before."""

    def __init__(self, driver: Driver, trials: int, tell: Any) -> None:
        self._driver, self._every, self._tell = driver, max(1, trials // ROWS), tell
        self.rows: list[dict[str, Any]] = []
        self._before = self._now()

    def look(self, *, last: bool = False) -> None:
        """Adds a row if enough trials have begun."""
        begun = len(self._driver.search.trials)
        if begun - self._before["trials"] < self._every and not last:
            return
        now, before = self._now(), self._before
        since = {name: now[name] - before[name] for name in now}
        if last and not since["decisions"]:
            return
        wall = since["wall"]
        row = {"trials": begun, "decisions": since["decisions"], "decisions_s": round(since["decisions"] / wall, 1)}
        row |= {"wall_s": round(wall, 2), "cpu_s": round(since["cpu"], 2), "other_cpu_s": round(since["others"], 2)}
        row |= {step: round(since[step], 2) for step in STEPS}
        size = Path(self._driver.study.storage, FILE).stat().st_size
        row |= {"rss_mb": rss_mb(), "journal_mb": round(size / 1e6, 1), "due": self._driver.due}
        self.rows.append(row)
        self._before = now
        self._tell(row)

    def _now(self) -> dict[str, Any]:
        cpu = time.thread_time()
        counts = {"trials": len(self._driver.search.trials), "decisions": self._driver.decisions}
        times = {"wall": time.perf_counter(), "cpu": cpu, "others": time.process_time() - cpu}
        return counts | times | self._driver.watch.spent


@contextmanager
def timed(found: dict[str, Any], name: str) -> Iterator[None]:
    """Notes the wall and processor seconds of a block."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    found[name] = {"s": round(time.perf_counter() - wall, 2), "cpu_s": round(time.process_time() - cpu, 2)}
    found[name]["rss_mb"] = rss_mb()


def run(arguments: argparse.Namespace, folder: Path, uri: str, database: str, tell: Any) -> dict[str, Any]:
    """Returns what a study of this size took."""
    study, tracked = study_of(arguments, folder, uri), arguments.tracking != "off"
    found: dict[str, Any] = {"rss_mb_before": rss_mb()}
    with (folder / "console.log").open("w", encoding="utf-8") as out:
        driver = Driver(study, out, tracked=tracked, log_format=arguments.log_format)
        driver.search.journal.append("launched", seed=study.seed, concurrent=arguments.concurrent, space="")
        rows = Rows(driver, arguments.trials, tell)
        with timed(found, "study"):
            driver.executor.run(rows.look)
            driver.search.stop()
            driver.events.catch_up()
        rows.look(last=True)
        found |= {"rows": rows.rows, "decisions": driver.decisions, "reports": driver.executor.reports}
        if driver.tracker is not None:
            with timed(found, "drained"):
                account = driver.tracker.end_study("finished")
            found |= {"delivered": account.delivered, "due": account.due}
            found |= in_mlflow(database, found)
        del driver, rows
        with timed(found, "resumed"):
            again = Driver(study, out, tracked=tracked, log_format=arguments.log_format, resume=True)
        with timed(found, "caught_up"):
            again.events.catch_up()
            if again.tracker is not None:
                again.tracker.end_study("finished")
        if not again.search.done:
            raise SystemExit("a second launch found the study unfinished")
        del again
    if tracked:
        found |= reported(study)
    return found


def reported(study: Study) -> dict[str, Any]:
    """Returns what reading the study back and its report take."""
    found: dict[str, Any] = {}
    with timed(found, "read"):
        results = read_study(study.tracking_uri, study.name)
    with timed(found, "report"):
        files = write_report(results, study.storage)
    found["files_mb"] = {Path(path).name: round(Path(path).stat().st_size / 1e6, 2) for path in files}
    return found


def in_mlflow(database: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what MLflow's database holds, and how many of its rows a second it took in."""
    counts = {
        "runs": "select count(*) from tags where key = 'trial_id'",
        "trials": "select count(distinct value) from tags where key = 'trial_id'",
        "running": "select count(*) from runs where status = 'RUNNING'",
        "points": "select count(*) from metrics where key = 'val_spearman'",
        "points_doubled": "select count(*) from (select 1 from metrics where key = 'val_spearman' "
        "group by run_uuid, step having count(*) > 1) as doubled",
        **{table: f"select count(*) from {table}" for table in ("metrics", "params", "tags")},
    }
    engine = create_engine(database)
    with engine.connect() as connection:
        held = {name: int(connection.execute(text(query)).scalar_one()) for name, query in counts.items()}
    engine.dispose()
    seconds = found["study"]["s"] + found["drained"]["s"]
    rows = held["metrics"] + held["params"] + held["tags"]
    return {"mlflow": held, "rows_s": round(rows / seconds, 1), "writes_s": round(found["delivered"] / seconds, 1)}


@contextmanager
def tracking(kind: str, folder: Path, workers: int) -> Iterator[tuple[str, str]]:
    """Starts what MLflow is to be, and yields its URI and that of its database."""
    with ExitStack() as stack:
        if kind in ("off", "sqlite"):
            yield (f"sqlite:///{folder}/mlflow.db",) * 2
            return
        database = f"sqlite:///{folder}/server.db"
        if kind == "postgresql":
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pg", dir="/tmp")))
            postgres = Postgres(home)
            stack.callback(postgres.stop)
            database = postgres.uri
        server = Server(folder, database, workers=workers)
        stack.callback(server.kill)
        yield server.uri, database


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--trials", type=int, default=1000)
    add("--concurrent", type=int, default=100)
    add("--mode", choices=("stop", "promote"), default="stop")
    add("--searcher", choices=("hyperopt+gp", "hyperopt", "gp", "random"), default="hyperopt+gp")
    add("--tracking", choices=("off", "sqlite", "server", "postgresql"), default="sqlite")
    add("--workers", type=int, default=1, help="of the mlflow server")
    add("--log-format", choices=("text", "json"), default="text")
    add("--seed", type=int, default=0)
    add("--json", action="store_true", help="print one JSON object, on one line")
    arguments = parser.parse_args()

    def tell(row: Mapping[str, Any]) -> None:
        if not arguments.json:
            print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with tracking(arguments.tracking, folder, arguments.workers) as (uri, database):
            found = run(arguments, folder, uri, database, tell)
    about = {
        **vars(arguments),
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": sys.version.split()[0],
    }
    if arguments.json:
        print(json.dumps(about | found))
    else:
        print(json.dumps({name: value for name, value in found.items() if name != "rows"}, indent=2))


if __name__ == "__main__":
    main()
