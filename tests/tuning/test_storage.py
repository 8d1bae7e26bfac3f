"""What every storage does alike: a folder, and a bucket of a real server on loopback."""

from __future__ import annotations

import errno
import os
import pickle
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from s3_server import KEYS

from tuning.storage import ObjectStore, StorageError, absolute, is_remote, open_store, place_faults, within
from tuning.storage.folder import FolderStore
from tuning.storage.places import above, bucket_of, without_credentials
from tuning.storage.retrying import retried
from tuning.storage.working import working_folder

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(place):
    return open_store(place)


def test_what_was_written_is_read_and_what_was_not_is_none(store):
    store.write("a/b.json", b"one")
    store.write("a/b.json", b"two")
    assert (store.read("a/b.json"), store.read("a/c.json")) == (b"two", None)


def test_names_are_sorted_and_bear_a_sign_that_changes_with_the_content(store):
    for name in ("b", "a/2", "a/1"):
        store.write(name, b"x")
    before = store.names()
    assert list(before) == ["a/1", "a/2", "b"]
    assert list(store.names("a/")) == ["a/1", "a/2"]
    store.write("b", b"something else")
    assert store.names()["b"] != before["b"]
    store.remove("a/1", "b", "never there")
    assert list(store.names()) == ["a/2"]


def test_of_eight_that_make_a_file_at_once_one_does(store):
    for n in range(5):
        with ThreadPoolExecutor(8) as threads:
            made = list(threads.map(lambda i, n=n: store.create(f"name{n}", str(i).encode()), range(8)))
        assert sum(made) == 1
        assert store.read(f"name{n}") == str(made.index(True)).encode()


RACER = """
import sys, time
from tuning.storage import open_store
place, begin, me = sys.argv[1:]
store = open_store(place)
time.sleep(max(0.0, float(begin) - time.time()))
print(sum(store.create(f"race/{n}", me.encode()) for n in range(20)))
"""


def test_eight_processes_that_race_for_twenty_names_make_twenty(place):
    import time

    begin = str(time.time() + 5)
    words = [sys.executable, "-c", RACER, place, begin]
    racers = [subprocess.Popen([*words, str(i)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) for i in range(8)]
    made = [int(racer.communicate(timeout=120)[0]) for racer in racers]
    assert sum(made) == 20
    store = open_store(place)
    owners = [int(store.read(name)) for name in store.names("race/")]
    assert [owners.count(i) for i in range(8)] == made


def test_a_file_of_any_size_comes_back_whole(store, tmp_path, monkeypatch):
    monkeypatch.setattr("tuning.storage.objects.PART", 6_000_000)  # the least that a part may have is 5 MiB
    source, copy = tmp_path / "source", tmp_path / "below" / "copy"
    source.write_bytes(os.urandom(13_000_000))
    store.put("big", source)
    assert store.get("big", copy)
    assert copy.read_bytes() == source.read_bytes()
    assert not store.get("other", tmp_path / "other")
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


WRITER = """
import os, signal, sys
from pathlib import Path
from tuning.storage import open_store

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

Path.replace = die
open_store(sys.argv[1]).write("name", b"new")
"""


def test_a_writer_that_is_killed_before_the_rename_leaves_what_was_there(tmp_path):
    store = FolderStore(tmp_path)
    store.write("name", b"old")
    done = subprocess.run([sys.executable, "-c", WRITER, str(tmp_path)], cwd=REPOSITORY, check=False)
    assert done.returncode == -signal.SIGKILL
    assert store.read("name") == b"old"
    assert list(store.names()) == ["name"]


@pytest.mark.parametrize("faults", [("503",), ("drop",), ("500", "drop", "429")])
def test_a_request_that_fails_for_a_passing_reason_is_made_again(s3, faults):
    store = open_store(s3.uri(f"again-{'-'.join(faults)}"))
    s3.fail(*faults)
    assert store.create("made", b"1")  # also where it was made, and the answer lost
    assert not store.create("made", b"2")
    s3.fail(*faults)
    store.write("written", b"2")
    s3.fail(*faults)
    assert store.read("written") == b"2"
    s3.fail(*faults)
    assert list(store.names()) == ["made", "written"]
    s3.fail(*faults)
    store.remove("written")
    assert list(store.names()) == ["made"]


def test_a_server_that_is_stopped_for_a_while_is_waited_for(s3):
    store = open_store(s3.uri("stopped"))
    s3.send(signal.SIGSTOP)
    with ThreadPoolExecutor(1) as threads:
        written = threads.submit(store.write, "name", b"1")
        with pytest.raises(TimeoutError):
            written.result(timeout=1)
        s3.send(signal.SIGCONT)
        written.result(timeout=60)
    assert store.read("name") == b"1"


def test_a_refusal_is_told_at_once_in_a_line_that_names_the_place_and_no_secret(s3, monkeypatch):
    store = open_store(s3.uri("refused").replace("bucket/", "no-such-bucket/"))
    with pytest.raises(StorageError, match=r"no-such-bucket/refused.*writing name: NoSuchBucket") as caught:
        store.write("name", b"1")
    assert "\n" not in str(caught.value)
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    for name in KEYS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StorageError, match="no credentials are here; set AWS_ACCESS_KEY_ID"):
        open_store(s3.uri("refused")).write("name", b"1")


def test_a_server_that_stays_away_is_given_up_after_the_patience():
    store = ObjectStore("s3://bucket/x?endpoint_override=http://127.0.0.1:9&region=us-east-1", patience=1)
    with pytest.raises(StorageError, match=r"s3://bucket/x.*reading name: "):
        store.read("name")


def test_a_network_file_system_that_is_away_for_a_moment_is_asked_again():
    answers = iter([OSError(errno.ESTALE, "stale"), OSError(errno.ETIMEDOUT, "timed out"), None])
    paused = []

    def ask():
        if error := next(answers):
            raise error
        return "there"

    assert retried(ask, sleep=paused.append) == "there"
    assert len(paused) == 2
    assert 0 < paused[0] <= 0.1
    for number in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT):
        answers = iter([OSError(number, "for good")])
        with pytest.raises(OSError, match="for good"):
            retried(ask, sleep=paused.append)
    assert len(paused) == 2


@pytest.mark.parametrize(
    ("location", "rule"),
    [
        ("s3://key:secret@bucket/x", "a URI with credentials"),
        ("gs://bucket/x", "is neither a folder nor a bucket"),
        ("s3:///x", "is neither a folder nor a bucket"),
        ("s3://bucket/x?endpoint=http://h", "has the option 'endpoint'"),
    ],
)
def test_a_location_that_no_study_can_lie_at_is_told_why(location, rule):
    faults = place_faults(location)
    assert faults is not None
    assert rule in faults[0]
    assert "secret" not in "".join(faults)
    assert "secret" not in without_credentials(location)


def test_locations_are_spelled_alike_everywhere(tmp_path, monkeypatch):
    uri = "s3://bucket/a/b?endpoint_override=http://h:9000"
    assert absolute(f"file://{tmp_path}/x%20y") == f"{tmp_path}/x y"
    assert absolute("s3://bucket/a/b/?endpoint_override=http://h:9000") == uri
    assert within(uri, "c", "d") == "s3://bucket/a/b/c/d?endpoint_override=http://h:9000"
    assert above(within(uri, "c")) == uri
    assert within("/a", "b") == "/a/b"
    assert [is_remote(place) for place in (uri, "/a", "file:///a")] == [True, False, False]
    assert bucket_of("s3://b?endpoint_override=h:9&scheme=http&region=eu").endpoint == "http://h:9"
    assert [place_faults(place) for place in (uri, "/a", "file:///a")] == [None] * 3
    monkeypatch.setenv("TUNING_WORK", str(tmp_path))
    assert working_folder(uri) != working_folder(uri.replace("9000", "9001"))
    assert working_folder(uri).parent == tmp_path
    assert working_folder("/a") == Path("/a")
