"""Studies as jobs of a real head node behind a token: followed to the end, lost, stopped, resumed, refused."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from job_server import TOKEN, Head, Line
from launching import REPOSITORY, quick, sets

from tuning.tracking import read_study

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

SECRET = "a-password-of-a-test-0815"
SMALL = sets("final.top=0", "fixed.epochs=4")
LONG = sets("final.top=0", "fixed.epochs=100000", "scheduler.grace_epochs=100000", "evaluation.every=100")


class Submitted:
    """One ``python -m tuning.submit``, watched as a person would.

    Args:
        folder: Its working directory.
        words: The command line.
        environment: Variables beside those of this process; the cluster's token among them unless it is given.
    """

    def __init__(self, folder: Path, *words: str, **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MLFLOW_"))}
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "PYTHONPATH": str(REPOSITORY)}
        number = len(list(folder.glob("*.out")))
        self._out, self._err = folder / f"{number}.out", folder / f"{number}.err"
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tuning.submit", *words],
                cwd=folder,
                env={**kept, **token, "HOME": str(folder), **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def wait_until(self, what: Callable[[], object], seconds: float = 180.0) -> None:
        until = time.monotonic() + seconds
        while not what():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.out}\n{self.err}"
            assert time.monotonic() < until, f"not within {seconds} s:\n{self.out}\n{self.err}"
            time.sleep(0.1)

    def ended(self, seconds: float = 300.0) -> int:
        try:
            return self.process.wait(seconds)
        finally:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module", name="head")
def _head() -> Iterator[Head]:
    head = Head(MLFLOW_TRACKING_PASSWORD=SECRET)
    try:
        yield head.ready()
    finally:
        head.stop()


@pytest.fixture(scope="module", name="shared")
def _shared(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("shared")


def study(shared: Path, name: str, *words: str) -> list[str]:
    """Returns the words of a small study whose results lie where all nodes see them."""
    places = ["--storage", str(shared / "studies"), "--tracking-uri", f"sqlite:///{shared / 'mlflow.db'}"]
    return [*quick("--num-samples", "2", "--name", name), *places, *words]


def asked(head: Head, path: str) -> str:
    """Returns what the dashboard tells whoever has the token."""
    request = urllib.request.Request(head.address + path, headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


@pytest.fixture(scope="module", name="followed")
def _followed(tmp_path_factory, head, shared) -> Submitted:
    """A study whose line to the cluster was cut for a while, after its first words."""
    line = Line(head.address)
    mine = tmp_path_factory.mktemp("mine")
    (mine / "my space.yaml").write_text((REPOSITORY / "search_spaces" / "quickstart.yaml").read_text())
    words = study(shared, "whole", *SMALL)
    words[words.index("quickstart.yaml")] = "my space.yaml"
    try:
        submitted = Submitted(
            mine, "--address", line.address, *words, MLFLOW_TRACKING_PASSWORD=SECRET, AWS_SECRET_ACCESS_KEY=SECRET
        )
        submitted.wait_until(lambda: "Running entrypoint" in submitted.out)
        line.cut()
        submitted.wait_until(lambda: submitted.err.count("connection lost: ") >= 2)
        line.mend()
        submitted.ended()
    finally:
        line.close()
    return submitted


def test_a_study_of_a_users_own_space_runs_whole_and_ends_with_its_exit_status(followed, shared):
    assert followed.process.returncode == 0, followed.err
    results = read_study(f"sqlite:///{shared / 'mlflow.db'}", "whole")
    assert len(results.trials) == 2
    assert "Study whole: 2 trials" in followed.out


def test_the_follower_says_that_its_connection_was_lost_and_writes_each_line_once(followed):
    assert "connected again" in followed.err
    told = [line for line in followed.out.splitlines() if re.match(r"\d\d:\d\d:\d\d  trial", line)]
    assert len(told) == len(set(told)) >= 4
    assert followed.out.count("Running entrypoint") == 1


def test_no_secret_of_the_submitter_is_on_the_dashboard(followed, head):
    jobs = asked(head, "/api/jobs/")
    assert [job["submission_id"] for job in json.loads(jobs)].count("whole~1") == 1
    assert "whole~1" in jobs
    for secret in (SECRET, TOKEN):
        assert secret not in jobs
        assert secret not in asked(head, "/api/jobs/whole~1/logs")


def test_a_finished_study_can_be_followed_again_by_its_name(followed, head, tmp_path):
    again = Submitted(tmp_path, "--address", head.address, "--follow", "whole")
    assert again.ended() == 0
    assert again.out == followed.out


def test_a_study_whose_name_is_taken_is_refused_by_its_driver_with_exit_status_2(followed, head, shared, tmp_path):
    again = Submitted(tmp_path, "--address", head.address, *study(shared, "whole", *SMALL))
    assert again.ended() == 2
    assert "--name: 'whole' is a study already" in again.out


def test_faults_of_a_request_are_refused_before_the_cluster_is_asked(head, tmp_path):
    words = study(tmp_path, "wrong", "--set", "search.lr.high=-1")
    wrong = Submitted(tmp_path, "--address", "http://127.0.0.1:9", *words)
    assert wrong.ended() == 2
    assert wrong.err.startswith("quickstart.yaml: 1 fault, nothing was started\n  --set: search.lr")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"RAY_AUTH_TOKEN": "wrong" * 8}, "does not take this token (403); set RAY_AUTH_MODE=token"),
        ({"RAY_AUTH_MODE": "disabled"}, "asks for a token and got none (401); set RAY_AUTH_MODE=token"),
    ],
)
def test_a_token_that_is_wrong_or_missing_is_one_line(head, tmp_path, environment, said):
    refused = Submitted(tmp_path, "--address", head.address, *study(tmp_path, "refused"), **environment)
    assert refused.ended() == 2
    assert said in refused.err
    assert refused.err.count("\n") == 1


def test_a_study_goes_on_without_its_follower_is_stopped_by_name_and_resumed_by_name(head, shared, tmp_path):
    first = Submitted(tmp_path, "--address", head.address, *study(shared, "long", *LONG))
    journal = shared / "studies" / "long" / "decisions.jsonl"
    first.wait_until(lambda: journal.exists() and "0001" in journal.read_text())
    first.process.send_signal(signal.SIGINT)
    assert first.ended() == 130
    assert "no longer followed; the study goes on as job long~1\nfollow it: python -m tuning.submit" in first.err
    second = Submitted(tmp_path, "--address", head.address, *study(shared, "long", *LONG))
    assert second.ended() == 2
    assert second.err.startswith("study long runs already, as job long~1\nfollow it: ")
    follower = Submitted(tmp_path, "--address", head.address, "--follow", "long~1")
    follower.wait_until(lambda: "Running entrypoint" in follower.out)
    stopped = Submitted(tmp_path, "--address", head.address, "--stop", "long")
    assert stopped.ended() == 0
    assert "job long~1 was stopped; resume with: python -m tuning.submit --address" in stopped.err
    assert follower.ended() == 130
    assert "Resume:   python -m tuning.submit" in follower.out
    before = read_study(f"sqlite:///{shared / 'mlflow.db'}", "long")
    assert [trial.reason for trial in before.trials] == ["interrupted"] * 2
    resumed = Submitted(tmp_path, "--address", head.address, "--resume", "long", "--time-budget", "1s")
    assert resumed.ended() == 0
    assert "study long is job long~2" in resumed.err
    after = read_study(f"sqlite:///{shared / 'mlflow.db'}", "long")
    assert len(after.trials) == len(before.trials) == 2
