"""Ray Tune itself with real trial processes that train nothing: what its loop and its actors leave of a driver's pace.

python benchmarks/scale_tune.py --trials 200 --concurrent 32 [--json]

Trials are actors as those of a study with engines are: thin, reused, asking for no processor. Each step is one rung of
an imagined curve (``scale_executor.py``), so what is measured is Tune's loop, the actors' start and the search's
decisions with their journal. ``to_first`` is the time until a first result; ``decisions_s`` counts from there, in four
quarters of the reports. Seconds are wall time; ``cpu_s`` is the driver's.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from scale import Driver, rss_mb, study_of

QUARTERS = 4


def trainable(rungs: list[int]) -> Any:
    """Returns a trainable of Tune whose steps are rungs of an imagined trial."""
    from ray import tune

    class Thin(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            self.reset_config(config)

        def step(self) -> dict[str, Any]:
            return {**self._trial.advance(), "done": False}

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            from scale_executor import ImaginedTrial

            self._trial = ImaginedTrial(self.trial_id, new_config, rungs)
            return True

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            Path(checkpoint_dir, "rung").write_text(str(self._trial.rung), encoding="ascii")

        def load_checkpoint(self, checkpoint: str) -> None:
            self._trial.rung = int(Path(checkpoint, "rung").read_text(encoding="ascii"))

    return Thin


def run(arguments: argparse.Namespace, folder: Path, out: Any) -> dict[str, Any]:
    """Returns what a study took on real actors."""
    from ray import tune

    from tuning.engine.thin import nothing
    from tuning.search.asha import GuardedASHA
    from tuning.search.searcher import StudyTrials

    driver = Driver(study_of(arguments, folder, "sqlite:////nowhere"), out, tracked=False, log_format="text")
    reported: list[float] = []
    heard = driver.search.report

    def report(trial: str, result: Any) -> Any:
        reported.append(time.perf_counter())
        return heard(trial, result)

    driver.search.report = report  # type: ignore[method-assign]
    trials, began, cpu = StudyTrials(driver.search), time.perf_counter(), time.process_time()
    os.environ |= {"TUNE_MAX_PENDING_TRIALS_PG": str(arguments.concurrent), "TUNE_GLOBAL_CHECKPOINT_S": "inf"}
    tune.run(
        trainable(list(driver.executor.rungs)),
        name="scale",
        storage_path=str(folder / "tune"),
        search_alg=trials,
        scheduler=GuardedASHA(trials),
        resources_per_trial=nothing(),
        reuse_actors=True,
        trial_name_creator=lambda trial: str(trial.trial_id),
        trial_dirname_creator=lambda trial: str(trial.trial_id),
        callbacks=[driver.events],
        checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0),
        raise_on_failed_trial=False,
        verbose=0,
    )
    ended, each = time.perf_counter(), max(1, len(reported) // QUARTERS)
    cuts = reported[::each][: QUARTERS + 1]
    return {
        "trials": len(driver.search.trials),
        "reports": len(reported),
        "ended": sum(held.over for held in driver.search.trials.values()),
        "to_first": round(reported[0] - began, 1),
        "reports_s": [round(each / (b - a), 1) for a, b in zip(cuts, cuts[1:], strict=False)],
        "decisions_s": round(driver.decisions / (ended - reported[0]), 1),
        "seconds": round(ended - began, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "rss_mb": rss_mb(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--trials", type=int, default=200)
    add("--concurrent", type=int, default=32)
    add("--mode", choices=("stop", "promote"), default="stop")
    add("--searcher", choices=("hyperopt+gp", "hyperopt", "gp", "random"), default="random")
    add("--seed", type=int, default=0)
    add("--json", action="store_true", help="print one JSON object, on one line")
    arguments = parser.parse_args()
    here = str(Path(__file__).resolve().parent)
    os.environ["PYTHONPATH"] = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    from tuning.cluster import ray_cluster

    with tempfile.TemporaryDirectory() as scratch, ray_cluster(None, verbose=False):
        found = run(arguments, Path(scratch), io.StringIO())
    about = {
        **vars(arguments),
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": sys.version.split()[0],
    }
    print(json.dumps(about | found, indent=None if arguments.json else 2))


if __name__ == "__main__":
    main()
