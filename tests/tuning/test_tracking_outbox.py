"""The letters that wait for MLflow on the disk."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tuning.tracking import outbox as module
from tuning.tracking.outbox import FILE, MARK, Outbox


def letters(outbox: Outbox) -> list[int]:
    return [letter["text"] for letter in outbox.due()]


def filled(folder: Path, count: int) -> Outbox:
    outbox = Outbox(folder)
    for number in range(count):
        outbox.append({"to": "t0", "do": "write", "text": number})
    return outbox


def test_letters_come_out_in_their_order_and_stay_until_they_are_delivered(tmp_path):
    outbox = filled(tmp_path, 5)
    assert letters(outbox) == letters(outbox) == [0, 1, 2, 3, 4]
    outbox.delivered(outbox.due()[:2])
    assert (letters(outbox), outbox.pending) == ([2, 3, 4], 3)


def test_what_was_not_delivered_is_there_in_the_next_launch(tmp_path):
    first = filled(tmp_path, 5)
    first.delivered(first.due()[:3])
    first.close()
    second = Outbox(tmp_path)
    second.append({"to": "t1", "do": "write", "text": 5})
    assert letters(second) == [3, 4, 5]
    numbers = [letter["n"] for letter in second.due()]
    assert numbers == [4, 5, 6]


def test_no_two_letters_bear_the_same_time_whatever_the_clock_says(tmp_path):
    first = Outbox(tmp_path, clock=lambda: 1000)
    for _ in range(3):
        first.append({"to": "", "do": "write"})
    second = Outbox(tmp_path, clock=lambda: 10)
    second.append({"to": "", "do": "write"})
    assert [letter["at"] for letter in second.due()] == [1000, 1001, 1002, 1003]


def test_an_outbox_from_which_all_was_delivered_leaves_nothing(tmp_path):
    outbox = filled(tmp_path, 3)
    outbox.delivered(outbox.due())
    outbox.close()
    assert list(tmp_path.iterdir()) == []
    outbox.append({"to": "t0", "do": "write", "text": 9})
    assert letters(outbox) == [9]


def test_a_line_that_was_cut_short_is_left_out_and_the_next_takes_its_place(tmp_path):
    filled(tmp_path, 2).settle()
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"n": 3, "at": 5, "te')
    outbox = Outbox(tmp_path)
    outbox.append({"to": "t0", "do": "write", "text": 7})
    assert letters(outbox) == [0, 1, 7]
    assert [json.loads(line)["n"] for line in (tmp_path / FILE).read_text().splitlines()] == [1, 2, 3]


def test_letters_are_delivered_again_where_the_mark_was_lost(tmp_path):
    outbox = filled(tmp_path, 3)
    outbox.delivered(outbox.due())
    (tmp_path / MARK).unlink()
    assert letters(Outbox(tmp_path)) == [0, 1, 2]


def test_memory_holds_a_few_letters_of_many_and_all_come_out(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BYTES", 1000)
    outbox, seen = filled(tmp_path, 500), []
    while due := outbox.due():
        assert len(due) < 50
        seen += [letter["text"] for letter in due]
        outbox.delivered(due)
    assert seen == list(range(500))


def test_a_long_outbox_is_begun_afresh_when_it_is_empty_and_numbers_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "EMPTIED_AT", 100)
    outbox = filled(tmp_path, 20)
    outbox.delivered(outbox.due())
    assert (tmp_path / FILE).stat().st_size == 0
    outbox.append({"to": "t0", "do": "write", "text": 20})
    assert [letter["n"] for letter in Outbox(tmp_path).due() or outbox.due()] == [21]


def test_numbers_that_are_no_numbers_and_those_of_numpy_come_out_as_they_went_in(tmp_path):
    outbox = Outbox(tmp_path)
    outbox.append({"to": "t0", "do": "write", "scalars": {"a": math.nan, "b": np.float32(0.5), "c": math.inf}})
    (letter,) = outbox.due()
    assert str(letter["scalars"]) == "{'a': nan, 'b': 0.5, 'c': inf}"


def test_a_file_stays_under_its_name_until_its_letter_is_delivered(tmp_path):
    weights = tmp_path / "elsewhere" / "best.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    outbox = Outbox(tmp_path / "study")
    kept = Path(outbox.keep(weights))
    outbox.append({"to": "t0", "do": "upload", "file": str(kept)})
    weights.unlink()
    assert (kept.name, kept.read_bytes()) == ("best.safetensors", b"weights")
    outbox.delivered(outbox.due())
    outbox.close()
    assert list((tmp_path / "study").iterdir()) == []


@pytest.mark.parametrize("urgent", [True, False])
def test_a_kill_takes_no_urgent_letter(tmp_path, urgent):
    code = (
        "import os, signal, sys; from pathlib import Path; from tuning.tracking.outbox import Outbox\n"
        f"outbox = Outbox(Path({str(tmp_path)!r})); outbox.append({{'to': '', 'do': 'x'}}); outbox.settle()\n"
        f"for n in range(100): outbox.append({{'to': '', 'do': 'x', 'text': n}}, urgent={urgent})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == -signal.SIGKILL
    assert Outbox(tmp_path).pending == (101 if urgent else 1)
