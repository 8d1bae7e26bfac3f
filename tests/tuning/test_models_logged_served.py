"""A winner behind ``mlflow models serve``, as people start it, asked over HTTP."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from logged_study import ROUNDING, Logged

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", name="logged")
def _logged(planted_shards, tmp_path_factory):
    return Logged(planted_shards, tmp_path_factory.mktemp("logged"))


@pytest.fixture(scope="module", name="url")
def _url(logged, tmp_path_factory):
    """Starts the registered champion on loopback, in the folder of the shards, and yields where it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["models", "serve", "--env-manager", "local", "-m", "models:/pamfn-Ball@champion", "--port", str(port)]
    log = tmp_path_factory.mktemp("served") / "log"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # MLflow starts uvicorn by its name
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
    environment |= {"MLFLOW_TRACKING_URI": logged.study.tracking_uri}
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words, "--host", "127.0.0.1"],
            cwd=Path(logged.study.data).parent,
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 180
    while not answers(url):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.5)
    yield url
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(30)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/ping", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def post(url: str, body: object) -> tuple[int, dict]:
    request = urllib.request.Request(
        f"{url}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_features_in_a_request_score_bitwise_as_in_the_final_stage(logged, url):
    status, body = post(url, {"dataframe_records": logged.clips(), "params": {"details": False}})
    assert status == 200
    logged.check(body["predictions"])


def test_videos_of_shards_score_bitwise_as_in_the_final_stage(logged, url):
    data = Path(logged.study.data).name
    rows = [{"data": data, "video_id": video} for video in logged.test.video_ids]
    status, body = post(url, {"dataframe_records": rows, "params": {"details": False}})
    assert status == 200
    logged.check(body["predictions"])


def test_one_clip_is_answered_with_score_decisions_and_attention(logged, url):
    clip = logged.clips()[-1]
    status, body = post(url, {"dataframe_records": [clip]})
    assert status == 200
    (answer,) = body["predictions"]
    scores = [logged.predicted[f"{clip['action']}/all/seed{seed}", clip["video_id"]] for seed in (0, 1)]
    assert answer["score"] == pytest.approx(sum(scores) / 2, abs=ROUNDING)
    for each in answer["networks"]:
        assert all(decision in (1, 2, 3) for stage in each["decisions"] for decision in stage)
        for stage in each["attention"]:
            assert sum(weights[0] for weights in stage.values()) == pytest.approx(1, abs=1e-5)


def test_a_wrong_request_is_answered_in_words_without_a_stack(logged, url):
    clip = logged.clips()[0]
    status, body = post(url, {"dataframe_records": [{**clip, "action": "Bal", "rgb": "x"}]})
    assert status == 400
    assert set(body) == {"error_code", "message"}
    assert body["message"].splitlines() == [
        f"clip 0 ({clip['video_id']!r}): rgb: given 'x', a str; wanted a list of segments, each a list of 16 numbers",
        f"clip 0 ({clip['video_id']!r}): action: given 'Bal'; wanted one of 'Ball', 'Hoop'; did you mean 'Ball'?",
    ]


def test_a_request_reads_nothing_outside_the_folder_of_the_server(logged, url):
    for data in ("/etc", "..", str(Path(logged.study.data).parent.parent)):
        status, body = post(url, {"dataframe_records": [{"data": data, "video_id": "x"}]})
        assert status == 400
        assert "which this server does not read" in body["message"]
