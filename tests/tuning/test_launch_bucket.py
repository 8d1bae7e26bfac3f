"""A study in a bucket: its driver is killed in the middle, its disk is wiped, and it goes on from the bucket alone."""

from __future__ import annotations

import json
import os
import shutil
import signal

import pytest
from launching import SEQUENTIAL, Launch, curves, tracked
from s3_server import KEYS

from tuning.search.journal import FILE as JOURNAL
from tuning.storage import open_store
from tuning.storage.numbered import NumberedLines

pytestmark = pytest.mark.slow

ONE_BY_ONE = ("--set", "resources.engine=off")


def events(uri):
    content = NumberedLines(open_store(uri), JOURNAL).read()
    return [json.loads(line) for line in content.splitlines()]


@pytest.fixture(params=["engines", "processes"])
def story(request, tmp_path, launch_home, s3, monkeypatch):
    """A study, killed with two of its trials ended, whose second launch finds an empty disk."""
    work, uri = tmp_path / "work", s3.uri(f"studies-{request.param}")
    monkeypatch.setenv("TUNING_WORK", str(work))
    words = (*SEQUENTIAL, "--storage", uri, *(ONE_BY_ONE if request.param == "processes" else ()))
    first = Launch(tmp_path, launch_home, *words)
    first.wait_until(lambda: "trial 0003  started" in first.out, 400)
    os.killpg(first.process.pid, signal.SIGKILL)
    first.process.wait()
    first.kill()
    shutil.rmtree(work)
    before = events(uri.replace("?", "/quickstart?"))
    ended = Launch(tmp_path, launch_home, *words, "--resume").ended(400)
    return tmp_path, uri, before, ended


def test_it_goes_on_from_the_bucket_alone_and_counts_everything_once(story, undisturbed):
    folder, uri, before, ended = story
    assert (ended.status, ended.err) == (0, "")
    results, calm = tracked(folder), tracked(undisturbed[0])
    assert len(results.trials) == len({trial.trial_id for trial in results.trials}) == 12
    assert curves(results) == curves(calm)
    store = open_store(uri.replace("?", "/quickstart?"))
    told = events(store.uri)
    assert told[: len(before)] == before
    assert sum(event["event"] == "launched" for event in told) == 2
    assert sum(event["event"] == "suggested" for event in told) == 12
    names = store.names()
    assert {"study.json", "final.json", "best.yaml", "results.parquet", "report.html"} <= set(names)
    assert not [name for name in names if name.startswith("tune/") and name.endswith(".whole")], "weights of the ended"
    assert not [name for name in names if name.startswith(("outbox.waiting/", "outbox/"))]
    assert [name for name in names if name.startswith("final/") and name.endswith(".whole")]
    openings = NumberedLines(open_store(uri), "openings.jsonl").read().splitlines()
    assert len(openings) == 1
    written = b"".join(store.read(name) or b"" for name in names if not name.startswith("final/"))
    for secret in KEYS.values():
        assert secret.encode() not in written
        assert secret not in ended.out
        assert secret not in (folder / "0.out").read_text()
