"""Letters delivered by a thread to an MLflow that is away, fails, or refuses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from tuning.tracking import delivery as module
from tuning.tracking.delivery import Delivery
from tuning.tracking.outbox import REFUSED, Outbox
from tuning.tracking.told import AwayError, FailedError, RefusedError


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(module, "PAUSES", (0.01,))
    monkeypatch.setattr(module, "ROUND", 0.05)


class Carrier:
    """Notes what it carries out; fails as it is told to, for each letter or, with none, for all that is asked."""

    def __init__(self, fault: Callable[[dict], Exception | None] = lambda letter: None) -> None:
        self.fault, self.calls, self.done = fault, [], []
        self.free = threading.Event()
        self.free.set()
        self.well = lambda: True

    def carry_out(self, trial_id, letters):
        self.free.wait()
        self.calls.append((trial_id, [letter["text"] for letter in letters]))
        for letter in letters:
            if (error := self.fault(letter)) is not None:
                raise error
        self.done += [letter["text"] for letter in letters]

    def is_well(self):
        return self.well()


def delivering(folder, carrier):
    outbox, said = Outbox(folder), []
    return outbox, Delivery(outbox, carrier, said.append), said


def write(outbox: Outbox, *texts: str, to: str = "t0", do: str = "write") -> None:
    for text in texts:
        outbox.append({"to": to, "do": do, "text": text})


def test_what_is_told_while_a_request_lasts_goes_together_trial_by_trial(tmp_path):
    carrier = Carrier()
    outbox, delivery, said = delivering(tmp_path, carrier)
    carrier.free.clear()
    write(outbox, "a")
    time.sleep(0.2)
    write(outbox, "b", "c")
    write(outbox, "d", to="t1")
    write(outbox, "e")
    carrier.free.set()
    account = delivery.wait()
    assert carrier.calls == [("t0", ["a"]), ("t0", ["b", "c", "e"]), ("t1", ["d"])]
    assert (account.delivered, account.due, account.refused, said) == (5, 0, 0, [])
    assert account.words() == "MLflow has 5 writes of this launch"


def test_the_end_of_a_study_waits_for_all_that_was_told_before(tmp_path):
    carrier = Carrier()
    carrier.free.clear()
    outbox, delivery, _ = delivering(tmp_path, carrier)
    write(outbox, "open", to="")
    write(outbox, "a")
    write(outbox, "end", to="", do="end")
    write(outbox, "b")
    carrier.free.set()
    delivery.wait()
    assert [texts for _, texts in carrier.calls][-2:] == [["end"], ["b"]]


def test_nobody_waits_while_mlflow_is_away_and_all_is_delivered_when_it_is_back(tmp_path):
    away = threading.Event()
    away.set()
    carrier = Carrier(lambda _: AwayError("MLflow at http://m: no answer") if away.is_set() else None)
    outbox, delivery, said = delivering(tmp_path, carrier)
    began = time.perf_counter()
    for number in range(1000):
        write(outbox, f"{number}", to=f"t{number % 3}")
    assert time.perf_counter() - began < 1.0
    account = delivery.wait(0.2)
    assert (account.delivered, account.due) == (0, 1000)
    assert account.words().endswith(
        f"1000 wait in {outbox.path} and are delivered when the study is resumed (MLflow at http://m: no answer)"
    )
    away.clear()
    assert delivery.wait().due == 0
    assert sorted(carrier.done, key=int) == [f"{number}" for number in range(1000)]
    assert len(said) == 2
    assert said[0].startswith("MLflow at http://m: no answer: the study goes on")
    assert said[1].startswith("MLflow answers again")


def test_a_refused_letter_is_put_aside_and_nothing_waits_behind_it(tmp_path):
    carrier = Carrier(lambda letter: RefusedError("MLflow at x: too long") if letter["text"] == "b" else None)
    carrier.free.clear()
    outbox, delivery, said = delivering(tmp_path, carrier)
    write(outbox, "a", "b", "c")
    write(outbox, "d", to="t1")
    carrier.free.set()
    account = delivery.wait()
    assert sorted(carrier.done) == ["a", "c", "d"]
    assert (account.delivered, account.due, account.refused) == (3, 0, 1)
    assert '"text": "b"' in (tmp_path / REFUSED).read_text()
    assert said == ["MLflow at x: too long: not written, and put aside (write, trial t0)"]
    assert f"1 more were not taken: see {tmp_path / REFUSED}" in account.words()


def test_what_fails_every_time_holds_up_only_its_own_trial_and_is_put_aside_in_the_end(tmp_path):
    carrier = Carrier(lambda letter: FailedError("MLflow at x: 500") if letter["text"] == "b" else None)
    carrier.free.clear()
    outbox, delivery, _ = delivering(tmp_path, carrier)
    write(outbox, "a", "b")
    write(outbox, "c", to="t1")
    carrier.free.set()
    account = delivery.wait()
    assert carrier.calls[1] == ("t1", ["c"])
    assert len([texts for trial, texts in carrier.calls if trial == "t0"]) > module.TRIES
    assert (sorted(carrier.done), account.due, account.refused) == (["a", "c"], 0, 1)


def test_a_server_whose_database_is_away_refuses_nothing_however_long_that_lasts(tmp_path):
    tries = 3 * module.TRIES
    carrier = Carrier(lambda _: FailedError("no database") if len(carrier.calls) < tries else None)
    carrier.well = lambda: len(carrier.calls) >= tries
    outbox, delivery, _ = delivering(tmp_path, carrier)
    write(outbox, "a")
    account = delivery.wait()
    assert (carrier.done, account.due, account.refused) == (["a"], 0, 0)


def test_a_server_that_is_away_is_never_given_up(tmp_path):
    tries = 3 * module.TRIES
    carrier = Carrier(lambda _: AwayError("no answer") if len(carrier.calls) < tries else None)
    outbox, delivery, _ = delivering(tmp_path, carrier)
    write(outbox, "a")
    account = delivery.wait()
    assert (carrier.done, account.refused) == (["a"], 0)


def test_a_delivery_that_breaks_says_so_and_leaves_its_letters(tmp_path, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    outbox, delivery, _ = delivering(tmp_path, Carrier(lambda _: ZeroDivisionError("by zero")))
    write(outbox, "a")
    account = delivery.wait()
    assert (account.due, account.why) == (1, "its delivery broke: ZeroDivisionError: by zero")
