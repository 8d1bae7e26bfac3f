"""A study under Ray Tune whose driver is killed in the middle: what comes back is what was there."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TRIALS = 12

DRIVER = """
import json, sys, time
from pathlib import Path
from types import SimpleNamespace

import ray
from ray import tune

from tuning.domains import ChoiceDomain, FloatDomain
from tuning.search import make_scheduler, make_searcher

storage, trials, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
RUNGS = (1, 3, 9)


class Fake(tune.Trainable):
    "Nine epochs, rungs after 1, 3 and 9 of them; the score is a function of the configuration and the epoch."

    def setup(self, config):
        self.epoch, self.rung_scores = 0, {}

    def step(self):
        time.sleep(seconds)
        self.epoch += 1
        score = 0.5 - abs(self.config["lr"] - 0.3) + 0.01 * self.epoch
        if self.config["lr"] > 0.9:
            score = float("nan")
        rung = RUNGS.index(self.epoch) if self.epoch in RUNGS else -1
        if rung >= 0 and score == score:
            self.rung_scores = {**self.rung_scores, str(rung): score}
        progress = self.epoch / RUNGS[-1]
        return {"rung": rung, "val_spearman": score, "rung_scores": self.rung_scores, "progress": progress}

    def reset_config(self, config):
        self.config = config
        self.setup(config)
        return True

    def save_checkpoint(self, folder):
        Path(folder, "state.json").write_text(json.dumps([self.epoch, self.rung_scores]))

    def load_checkpoint(self, folder):
        self.epoch, self.rung_scores = json.loads(Path(folder, "state.json").read_text())


class Witness(tune.Callback):
    "Writes down what the scheduler holds beside what the trials' records say."

    def __init__(self, scheduler):
        self.scheduler, self.began = scheduler, False

    def on_step_begin(self, iteration, trials, **info):
        if not self.began:
            self.write("began", trials)
        self.began = True

    def on_experiment_end(self, trials, **info):
        self.write("ended", trials)

    def write(self, name, trials):
        records = {
            t.trial_id: {
                "config": t.config,
                "rung_scores": t.run_metadata.last_result.get("rung_scores", {}),
                "status": t.status,
                "reason": self.scheduler.reason(t.trial_id),
            }
            for t in trials
        }
        (storage / f"{name}.json").write_text(json.dumps({"rungs": self.scheduler.rungs.scores, "trials": records}))


space = SimpleNamespace(
    search={
        "lr": FloatDomain(type="float", low=0.01, high=1.0, log=True),
        "stages": ChoiceDomain(type="choice", values=[2, 3]),
    },
    first_point=lambda: {"lr": 0.1, "stages": 3},
    searcher=SimpleNamespace(type="hyperopt", warmup=4),
)
ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
study = str(storage / "study")
if tune.Tuner.can_restore(study):
    tuner = tune.Tuner.restore(study, trainable=Fake)
else:
    scheduler = make_scheduler(SimpleNamespace(type="asha", reduction=3), journal=str(storage / "decisions.jsonl"))
    tuner = tune.Tuner(
        Fake,
        tune_config=tune.TuneConfig(
            num_samples=trials, scheduler=scheduler, search_alg=make_searcher(space, 0, 2), reuse_actors=True
        ),
        run_config=tune.RunConfig(
            name="study",
            storage_path=str(storage),
            callbacks=[Witness(scheduler)],
            checkpoint_config=tune.CheckpointConfig(num_to_keep=2, checkpoint_frequency=1),
            verbose=0,
        ),
    )
tuner.fit()
ray.shutdown()
"""


@pytest.fixture
def drive(tmp_path, tmp_path_factory):
    """Starts the driver in a session of its own, and ends that session with the test."""
    quiet = {"TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0", "RAY_AIR_NEW_OUTPUT": "0"}
    # Tune deletes a checkpoint before the snapshot that names it is replaced: frequent snapshots and a second
    # checkpoint (num_to_keep) keep a kill between the two from losing the trial.
    safe = {"TUNE_GLOBAL_CHECKPOINT_S": "0.1"}
    home = tmp_path_factory.mktemp("home")
    environment = {
        **os.environ,
        **quiet,
        **safe,
        "HOME": str(home),
        "PYTHONPATH": str(REPOSITORY),
        "OMP_NUM_THREADS": "1",
    }
    sessions = []

    def start(seconds):
        command = [sys.executable, "-c", DRIVER, str(tmp_path), str(TRIALS), str(seconds)]
        log = (tmp_path / f"driver{len(sessions)}.log").open("w")
        sessions.append(
            subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log, start_new_session=True)
        )
        return sessions[-1]

    yield start
    for process in sessions:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        process.wait()


def decisions(folder):
    journal = folder / "decisions.jsonl"
    return [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []


def wait_until(condition, process, log, seconds=150):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f"the driver ended too early:\n{log.read_text()[-3000:]}"
        assert time.monotonic() < end, f"what was waited for did not happen:\n{log.read_text()[-3000:]}"
        time.sleep(0.05)


def of_records(trials):
    """The rungs as the records of the trials have them."""
    rungs = {}
    for trial, record in trials.items():
        for rung, score in record["rung_scores"].items():
            rungs.setdefault(rung, {})[trial] = score
    return rungs


@pytest.mark.cluster
@pytest.mark.slow
def test_a_study_whose_driver_was_killed_comes_back_with_its_rungs_its_trials_and_its_searcher(drive, tmp_path):
    killed = drive(seconds=0.2)
    wait_until(lambda: sum(not d["goes_on"] for d in decisions(tmp_path)) >= 5, killed, tmp_path / "driver0.log")
    killed.kill()
    killed.wait()
    assert not (tmp_path / "ended.json").exists(), "the driver was to be killed in the middle"
    (tmp_path / "began.json").unlink()

    resumed = drive(seconds=0.02)
    assert resumed.wait(timeout=150) == 0, (tmp_path / "driver1.log").read_text()[-3000:]
    began, ended = (json.loads((tmp_path / name).read_text()) for name in ("began.json", "ended.json"))

    assert began["rungs"] == of_records(began["trials"])
    assert began["rungs"], "scores were there before the kill"
    kept = {trial for trial, record in began["trials"].items() if record["status"] == "TERMINATED"}
    assert kept
    assert all(ended["trials"][trial] == began["trials"][trial] for trial in kept)

    assert ended["rungs"] == of_records(ended["trials"])
    configs = [(record["config"]["lr"], record["config"]["stages"]) for record in ended["trials"].values()]
    assert len(configs) == len(set(configs)) == TRIALS
    assert configs.count((0.1, 3)) == 1, "the first point is tried once"
    for record in ended["trials"].values():
        expected = "failed: val_spearman is nan" if record["config"]["lr"] > 0.9 else ("finished", "stopped at rung")
        assert record["reason"].startswith(expected)
    assert {rung: len(scores) for rung, scores in ended["rungs"].items()}["2"] >= 1
