"""What of a study lasts in a bucket, and comes back to an empty disk."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tuning.search.journal import Journal
from tuning.storage import StorageError, open_store
from tuning.storage.kept import Kept
from tuning.storage.numbered import NumberedLines, TakenOver
from tuning.tracking.outbox import Outbox

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def uri(s3, tmp_path):
    return s3.uri(f"kept-{tmp_path.name}")


@pytest.fixture
def kept(uri):
    return Kept(uri)


def filled(folder, **files):
    (folder / "below").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / "below" / name).write_text(content)
    return folder


def wiped(kept):
    shutil.rmtree(kept.folder)
    return Kept(kept.store.uri)


def test_a_folder_comes_back_whole_to_an_empty_disk_and_is_not_fetched_twice(kept):
    folder = filled(kept.folder / "tune" / "1" / "0000" / "checkpoint_000003", a="1", b="22")
    kept.keep_folder(folder)
    assert kept.folders("tune", "1", "0000") == ["tune/1/0000/checkpoint_000003"]
    again = wiped(kept)
    assert again.fetch_folder(folder)
    assert (folder / "below" / "b").read_text() == "22"
    (folder / "below" / "b").unlink()
    assert again.fetch_folder(folder)
    assert not (folder / "below" / "b").exists(), "it was fetched twice"
    assert not again.fetch_folder(folder.with_name("checkpoint_000004"))
    again.drop("tune", "1", "0000")
    assert open_store(kept.store.uri).names() == {}


def test_a_folder_that_is_kept_again_takes_the_place_of_the_former_and_one_that_is_as_good_does_not(kept):
    folder = filled(kept.folder / "final" / "0", a="old")
    kept.keep_folder(folder)
    kept.keep_folder(filled(folder, a="as good"))
    before = list(kept.store.names())
    assert wiped(kept).fetch_folder(folder)
    assert (folder / "below" / "a").read_text() == "old"
    kept.keep_folder(filled(folder, a="new", b="more"), replace=True)
    assert len(kept.store.names()) == len(before) + 1
    assert wiped(kept).fetch_folder(folder)
    assert (folder / "below" / "a").read_text() == "new"


def test_what_lies_on_this_machine_of_a_study_that_is_gone_is_not_taken_for_what_lasts(kept):
    folder = filled(kept.folder / "tune" / "1" / "0000" / "c", a="of the study before")
    kept.keep_folder(folder)
    kept.store.remove(*kept.store.names())
    assert not kept.fetch_folder(folder)
    other = Kept(kept.store.uri)
    other.keep_folder(filled(folder, a="of the new one"), replace=True)
    (folder / ".kept").write_text("another name")
    filled(folder, a="stale")
    assert kept.fetch_folder(folder)
    assert (folder / "below" / "a").read_text() == "of the new one"


KILLED = """
import os, signal, sys
from pathlib import Path
from tuning.storage.kept import Kept

kept = Kept(sys.argv[1])
folder = kept.folder / "tune" / "1" / "0000" / "c"
folder.mkdir(parents=True)
for name in ("a", "b"):
    (folder / name).write_text(name)
marker = "write" if sys.argv[2] == "replace" else "create"
setattr(type(kept.store), marker, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
kept.keep_folder(folder, replace=sys.argv[2] == "replace")
"""


@pytest.mark.parametrize("how", ["first", "replace"])
def test_a_folder_whose_writer_is_killed_before_the_marker_is_not_there(kept, how):
    done = subprocess.run([sys.executable, "-c", KILLED, kept.store.uri, how], cwd=REPOSITORY, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(kept.store.names("tune/1/0000/c/")) == 2, "its files are"
    assert kept.folders("tune", "1", "0000") == []
    assert not Kept(kept.store.uri).fetch_folder(kept.folder / "tune" / "1" / "0000" / "c")
    kept.drop("tune", "1", "0000")
    assert kept.store.names() == {}


def test_a_file_that_its_marker_does_not_know_is_no_half_folder(kept):
    folder = filled(kept.folder / "final" / "0", a="whole")
    kept.keep_folder(folder)
    name = next(name for name in kept.store.names("final/0/"))
    kept.store.write(name, b"ha")
    with pytest.raises(StorageError, match=r"final/0/below/a is not what final/0.whole says"):
        wiped(kept).fetch_folder(folder)
    assert not folder.exists()


def test_lines_are_read_in_their_order_also_where_many_were_put_together(uri, monkeypatch):
    monkeypatch.setattr("tuning.storage.numbered.TOGETHER", 5)
    lines = NumberedLines(open_store(uri), "journal")
    assert lines.read() == b""
    written = [f"{number}\n".encode() for number in range(13)]
    for line in written[:7]:
        lines.append(line)
    after = NumberedLines(open_store(uri), "journal")
    assert after.read() == b"".join(written[:7])
    for line in written[7:]:
        after.append(line)
    assert len(open_store(uri).names("journal/together/")) == 2
    assert NumberedLines(open_store(uri), "journal").read() == b"".join(written)
    open_store(uri).remove("journal/line/00000012")
    with pytest.raises(StorageError, match="a line between 11 and 13 is missing"):
        NumberedLines(open_store(uri), "journal").read()


def test_a_driver_that_was_taken_over_writes_no_line_more_and_loses_none_of_its_successors(uri, tmp_path):
    old = Journal(tmp_path / "old", lines=NumberedLines(open_store(uri), "journal"))
    old.append("launched")
    new = Journal(tmp_path / "new", lines=NumberedLines(open_store(uri), "journal"))
    new.append("launched")
    with pytest.raises(TakenOver, match="line 2 was written by another process"):
        old.append("suggested", trial="0000")
    new.append("suggested", trial="0001")
    read = Journal(tmp_path / "third", lines=NumberedLines(open_store(uri), "journal"))
    assert [event["event"] for event in read.events] == ["launched", "launched", "suggested"]
    assert read.events[-1]["trial"] == "0001"
    assert (tmp_path / "new").read_bytes() == NumberedLines(open_store(uri), "journal").read()


JOURNALIST = """
import os, signal, sys
from pathlib import Path
from tuning.search.journal import Journal
from tuning.storage import open_store
from tuning.storage.numbered import NumberedLines

journal = Journal(Path(sys.argv[2]), lines=NumberedLines(open_store(sys.argv[1]), "journal"))
number = len(journal.events)
while True:
    journal.append("told", number=number)
    print(number, flush=True)
    number += 1
"""


def test_what_was_acted_on_before_a_kill_is_in_the_bucket_and_nothing_twice(uri, tmp_path):
    acted = []
    for launch in range(3):
        words = [sys.executable, "-c", JOURNALIST, uri, str(tmp_path / str(launch))]
        process = subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        acted += [int(process.stdout.readline()) for _ in range(7)]
        process.kill()
        acted += [int(line) for line in process.communicate()[0].split()]
    content = NumberedLines(open_store(uri), "journal").read()
    told = [json.loads(line)["number"] for line in content.splitlines()]
    assert told == list(range(len(told)))
    assert acted == sorted(set(acted))
    assert set(acted) <= set(told)


def test_letters_that_wait_come_back_to_an_empty_disk_with_their_files(kept, tmp_path, monkeypatch):
    monkeypatch.setattr("tuning.tracking.outbox.SHIPPED_AFTER", 0.0)
    outbox = Outbox(kept.folder, kept=kept)
    weights = tmp_path / "weights"
    weights.write_text("some")
    outbox.append({"to": "t0", "do": "write", "text": 1})
    outbox.append({"to": "t0", "do": "upload", "file": outbox.keep(weights)})
    outbox.append({"to": "t0", "do": "model", "from": str(kept.folder / "final" / "model")})
    outbox.append({"to": "t0", "do": "write", "text": 2})
    outbox.ship_what_waits()
    shutil.rmtree(kept.folder)
    monkeypatch.setenv("TUNING_WORK", str(tmp_path / "elsewhere"))
    again = Kept(kept.store.uri)
    back = Outbox(again.folder, kept=again)
    due = back.due()
    assert [letter["do"] for letter in due] == ["write", "upload", "write"]
    assert Path(due[1]["file"]).read_text() == "some"
    assert str(tmp_path / "elsewhere") in due[1]["file"]
    back.delivered(due)
    back.close()
    assert kept.store.names() == {}


def test_a_letter_with_files_is_in_the_bucket_before_its_writer_may_remove_them(kept, tmp_path):
    outbox = Outbox(kept.folder, kept=kept)
    weights = tmp_path / "weights"
    weights.write_text("some")
    outbox.append({"to": "t0", "do": "upload", "file": outbox.keep(weights)})
    assert len([name for name in kept.store.names() if name.startswith("outbox.waiting/")]) == 1
    assert [name for name in kept.store.names("outbox/") if name.endswith("/weights")]
