import logging
import math
import os
import threading
import time

import pytest
import torch
from safetensors.torch import save_file

from tuning.branches import BranchStore, branch_key
from tuning.branches.leases import acquire

KEYS = [branch_key(fold=fold) for fold in range(6)]


@pytest.fixture
def store(tmp_path):
    return BranchStore(str(tmp_path / "branches"), heartbeat=0.05, patience=0.5)


def state(key):
    generator = torch.Generator().manual_seed(int(key[:8], 16))
    return {
        "weight": torch.randn(4, 3, generator=generator).T,  # not contiguous
        "steps": torch.tensor(7),
        "half": torch.ones(2, dtype=torch.float16),
        "mask": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
    }


def same(one, other):
    return one.keys() == other.keys() and all(
        torch.equal(one[n], other[n]) and one[n].dtype == other[n].dtype for n in one
    )


class Trainer:
    """Trains as asked and remembers what it was asked for."""

    def __init__(self, pause=0.0):
        self.asked, self._pause = [], pause

    def __call__(self, keys):
        self.asked.append(list(keys))
        for key in keys:
            time.sleep(self._pause)
            yield key, state(key), {"key": key}


def leftovers(store):
    return sorted(path.name for path in store.path(KEYS[0]).parent.iterdir() if path.suffix != ".safetensors")


def test_the_same_settings_have_one_key_however_they_are_written():
    assert branch_key(lr=0.01, width=256, shape=(1, 2)) == branch_key(shape=[1, 2], width=256.0, lr=1e-2)
    assert len(branch_key()) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"lr": 0.02},
        {"lr": None},
        {"standardise": 1},
        {"modality": "flow"},
        {"clip": {"a": 2}},
        {"extra": 0},
    ],
)
def test_any_other_setting_has_another_key(change):
    base = {"seed": 0, "lr": 0.01, "standardise": True, "modality": "rgb", "clip": {"a": 1}}
    assert branch_key(**{**base, **change}) != branch_key(**base)


@pytest.mark.parametrize("value", [math.nan, math.inf, object(), {1: 2}, [set()]])
def test_what_is_not_plain_data_names_no_branch(value):
    with pytest.raises(ValueError, match="lr: .* cannot name a branch"):
        branch_key(lr=value)


def test_a_saved_branch_is_loaded_as_it_was(store):
    store.save(KEYS[0], state(KEYS[0]), {"modality": "rgb"})
    assert same(store.load(KEYS[0]), state(KEYS[0]))
    assert store.load(KEYS[1]) is None


def test_saving_twice_leaves_the_same_bytes_and_nothing_else(store):
    store.save(KEYS[0], state(KEYS[0]), {"modality": "rgb", "fold": 0})
    once = store.path(KEYS[0]).read_bytes()
    for _ in range(20):
        store.save(KEYS[0], state(KEYS[0]), {"fold": 0, "modality": "rgb"})
        assert store.path(KEYS[0]).read_bytes() == once
    assert leftovers(store) == []


def test_a_save_that_fails_leaves_nothing(store):
    with pytest.raises(TypeError):
        store.save(KEYS[0], state(KEYS[0]), {"modality": object()})
    assert leftovers(store) == []
    assert store.load(KEYS[0]) is None


def truncated(content):
    return content[: len(content) // 2]


def headless(content):
    return content[:5]


def flipped(content):
    return content[:-1] + bytes([content[-1] ^ 1])


def zeroed(content):
    return bytes(len(content))


def foreign(content):
    return b"not a safetensors file at all, but longer than eight bytes"


@pytest.mark.parametrize("damage", [truncated, headless, flipped, zeroed, foreign])
def test_a_damaged_file_is_reported_and_trained_again(store, caplog, damage):
    store.save(KEYS[0], state(KEYS[0]), {})
    path = store.path(KEYS[0])
    path.write_bytes(damage(path.read_bytes()))
    trainer = Trainer()
    with caplog.at_level(logging.WARNING):
        assert same(store.fetch([KEYS[0]], trainer)[KEYS[0]], state(KEYS[0]))
    assert trainer.asked == [[KEYS[0]]]
    [message] = [record.getMessage() for record in caplog.records]
    assert str(path) in message
    assert message.endswith("it is trained again")
    assert same(store.load(KEYS[0]), state(KEYS[0]))


def test_a_safetensors_file_of_other_origin_is_not_taken_for_a_branch(store, caplog):
    save_file(state(KEYS[0]) | {"weight": torch.ones(1)}, store.path(KEYS[0]))
    assert store.load(KEYS[0]) is None
    assert "not the artefact of this key" in caplog.text


def test_an_artefact_under_another_name_is_not_taken_for_it(store, caplog):
    store.save(KEYS[0], state(KEYS[0]), {})
    store.path(KEYS[0]).rename(store.path(KEYS[1]))
    assert store.load(KEYS[1]) is None
    assert "not the artefact of this key" in caplog.text


def test_only_what_is_missing_is_trained_and_all_of_it_at_once(store):
    store.save(KEYS[1], state(KEYS[1]), {})
    trainer = Trainer()
    fetched = store.fetch(KEYS[:3], trainer)
    assert trainer.asked == [[KEYS[0], KEYS[2]]]
    assert list(fetched) == KEYS[:3]
    assert all(same(fetched[key], state(key)) for key in fetched)
    assert leftovers(store) == []


def test_a_chunk_limits_what_is_claimed_at_once(store):
    trainer = Trainer()
    store.fetch(KEYS[:5], trainer, chunk=2)
    assert [len(asked) for asked in trainer.asked] == [2, 2, 1]


def test_a_key_named_twice_is_trained_once(store):
    trainer = Trainer()
    assert list(store.fetch([KEYS[0], KEYS[0]], trainer)) == [KEYS[0]]
    assert trainer.asked == [[KEYS[0]]]


def test_what_was_trained_is_what_others_load(store):
    trained = store.fetch(KEYS[:1], Trainer())
    assert same(trained[KEYS[0]], store.load(KEYS[0]))
    assert trained[KEYS[0]]["weight"].is_contiguous()


def test_an_exception_while_training_frees_every_claim_and_stops_the_heartbeat(store):
    def fail(keys):
        yield keys[0], state(keys[0]), {}
        raise MemoryError(keys[1])

    with pytest.raises(MemoryError):
        store.fetch(KEYS[:3], fail)
    assert leftovers(store) == []
    assert store.load(KEYS[0]) is not None, "what was finished before is kept"
    assert not [thread for thread in threading.enumerate() if thread.name == "lease-heartbeat"]


def test_a_trainer_that_ends_early_is_an_error(store):
    with pytest.raises(RuntimeError, match=f"ended without 1 of its keys, the first {KEYS[1]}"):
        store.fetch(KEYS[:2], lambda keys: iter([(keys[0], state(keys[0]), {})]))
    assert leftovers(store) == []


def test_a_trainer_that_yields_something_else_is_an_error(store):
    with pytest.raises(ValueError, match="which it was not asked for"):
        store.fetch(KEYS[:1], lambda keys: iter([(KEYS[1], state(KEYS[1]), {})]))


def test_two_threads_that_want_the_same_branches_divide_the_work(store):
    trainers = [Trainer(pause=0.1), Trainer(pause=0.1)]
    threads = [threading.Thread(target=store.fetch, args=(KEYS, trainer), kwargs={"chunk": 1}) for trainer in trainers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asked = [key for trainer in trainers for keys in trainer.asked for key in keys]
    assert sorted(asked) == sorted(KEYS)
    assert all(trainer.asked for trainer in trainers)


def elsewhere(monkeypatch, machine="another machine"):
    monkeypatch.setattr("tuning.storage.holders.host", lambda: machine)


def test_a_lease_of_another_machine_is_taken_over_once_it_has_been_silent_for_long(store, monkeypatch):
    with monkeypatch.context() as there:
        elsewhere(there)
        acquire(store.path(KEYS[0]).with_suffix(".lease"))
    trainer, started = Trainer(), time.monotonic()
    store.fetch(KEYS[:1], trainer)
    assert trainer.asked == [[KEYS[0]]]
    assert 0.5 <= time.monotonic() - started < 5


def test_a_lease_of_another_machine_that_is_renewed_is_waited_for(store, monkeypatch):
    with monkeypatch.context() as there:
        elsewhere(there)
        lease = acquire(store.path(KEYS[0]).with_suffix(".lease"))

    def finish_late():
        for _ in range(30):
            time.sleep(0.05)
            lease.renew()
        store.save(KEYS[0], state(KEYS[0]), {})
        lease.release()

    thread = threading.Thread(target=finish_late)
    thread.start()
    trainer = Trainer()
    store.fetch(KEYS[:1], trainer)
    thread.join()
    assert trainer.asked == []


def test_an_empty_lease_whose_writer_died_before_writing_is_taken_over(store):
    store.path(KEYS[0]).with_suffix(".lease").touch()
    trainer = Trainer()
    store.fetch(KEYS[:1], trainer)
    assert trainer.asked == [[KEYS[0]]]


def test_a_lease_that_was_taken_over_is_neither_renewed_nor_removed_by_its_old_holder(tmp_path):
    path = tmp_path / "a.lease"
    old = acquire(path)
    path.unlink()
    new = acquire(path)
    os.utime(path, (1, 1))
    old.renew()
    assert path.stat().st_mtime == 1
    old.release()
    assert path.exists()
    old.renew()
    new.release()
    assert not path.exists()


@pytest.mark.parametrize(("heartbeat", "patience"), [(0, 1), (5, 5), (-1, 2)])
def test_a_patience_below_the_heartbeat_is_refused(tmp_path, heartbeat, patience):
    with pytest.raises(ValueError, match=f"patience {patience} s must be above heartbeat {heartbeat} s"):
        BranchStore(str(tmp_path), heartbeat=heartbeat, patience=patience)


def test_a_name_that_is_no_key_and_a_chunk_of_nothing_are_refused(store):
    with pytest.raises(ValueError, match="'../secret' is not 64 hexadecimal digits"):
        store.path("../secret")
    with pytest.raises(ValueError, match="chunk 0 must be at least 1"):
        store.fetch(KEYS, Trainer(), chunk=0)
