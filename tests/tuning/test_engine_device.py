"""A device's loop: replicas of many trials come and go in its programs, whatever goes wrong with one of them."""

from __future__ import annotations

import dataclasses
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor

import numpy as np
import pytest
import torch
from planted_study import CONFIG, small_study

from pamfn.phases.program import Program
from tuning.branches import BranchStore
from tuning.cohort import Cohort
from tuning.engine.device import Device
from tuning.engine.measured import rows_that_fit
from tuning.engine.programs import Programs
from tuning.pretraining import Pretraining
from tuning.study_data import training_data

TOLERANCE = 2e-3  # another number of rows takes another matrix kernel


@pytest.fixture(scope="module", name="study")
def _study(planted_shards, tmp_path_factory):
    return small_study(planted_shards, tmp_path_factory.mktemp("studies"))


@pytest.fixture(scope="module", name="data")
def _data(study):
    return training_data(study, "cpu")


@pytest.fixture(scope="module", name="branches")
def _branches(study, data):
    recipe = study.space.recipe(CONFIG)
    return {m: Cohort.branches(recipe, m, data.replicas, data.bank, score=False)[1] for m in data.bank.widths}


@pytest.fixture(name="device")
def _device(data):
    made = Device(data)
    yield made
    made.close()


class Trials:
    """Trials of a study that differ in the settings of phase 2, alone or on a device."""

    def __init__(self, study, data, branches):
        self.study, self.data, self.branches = study, data, branches

    def cohort(self, maker, **changes):
        recipe = self.study.space.recipe(CONFIG | changes)
        return maker(recipe, self.data.replicas, self.data.bank, self.branches)

    def alone(self, milestones, **changes):
        cohort = self.cohort(Cohort, **changes)
        return [cohort.train(progress) for progress in milestones]


@pytest.fixture(name="trials")
def _trials(study, data, branches):
    return Trials(study, data, branches)


def assert_alike(one, other):
    assert list(one.losses.values()) == pytest.approx(list(other.losses.values()), abs=TOLERANCE, nan_ok=True)
    assert list(one.scores) == list(other.scores)


def test_trials_in_company_learn_what_they_learn_alone(device, trials):
    kinds = [{"fusion_nets": k, "lr": lr} for k, lr in ((2, 1e-3), (4, 5e-3), (3, 2e-3), (5, 1e-3))]
    milestones = (0.3, 0.6, 1.0)

    def trained(changes):
        cohort = trials.cohort(device.cohorts(), **changes)
        found = [cohort.train(progress) for progress in milestones]
        states = cohort.states()
        cohort.close()
        return found, states

    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(trained, kinds))
    for changes, (found, states) in zip(kinds, together, strict=True):
        for mine, alone in zip(found, trials.alone(milestones, **changes), strict=True):
            assert_alike(mine, alone)
        assert list(states) == [replica.name for replica in trials.data.replicas]
    status = device.status()
    assert (status.rows_busy, status.rows_waiting, status.programs) == (0, 0, 1)
    assert status.replica_steps > 2 * status.steps  # they did train side by side


def test_a_batch_has_as_many_places_whoever_is_in_company(device, trials, data):
    rows = max(len(replica.train) for replica in data.replicas)
    trials.cohort(device.cohorts(), batch_size=rows - 1).train(0.2)  # the last video joins the batch before
    assert [program.mould.room for program in device.programs()] == [rows]


def test_more_replicas_than_rows_take_turns(data, trials):
    device = Device(data, slots=1)
    try:
        cohort = trials.cohort(device.cohorts())
        found = [cohort.train(progress) for progress in (0.5, 1.0)]
        for mine, alone in zip(found, trials.alone((0.5, 1.0)), strict=True):
            assert_alike(mine, alone)
        assert device.status().steps == device.status().replica_steps
    finally:
        device.close()


def test_a_trial_that_rests_makes_room_and_goes_on_where_it_stood(data, trials):
    device = Device(data, slots=len(data.replicas))
    try:
        first, second = (trials.cohort(device.cohorts(), lr=lr) for lr in (1e-3, 4e-3))
        begun = first.train(0.4)
        guest = second.train(1.0)
        ended = first.train(1.0)
        assert_alike(begun, trials.alone((0.4,), lr=1e-3)[0])
        assert_alike(guest, trials.alone((1.0,), lr=4e-3)[0])
        assert_alike(ended, trials.alone((0.4, 1.0), lr=1e-3)[1])
    finally:
        device.close()


def test_a_state_taken_from_a_device_goes_on_elsewhere_and_back(device, trials):
    here = trials.cohort(device.cohorts())
    here.train(0.5)
    states = here.states()
    here.close()
    elsewhere, again = trials.cohort(Cohort), trials.cohort(device.cohorts())
    for cohort in (elsewhere, again):
        for name, state in states.items():
            cohort.restore(name, state)
    assert_alike(again.train(1.0), elsewhere.train(1.0))
    assert_alike(again.train(1.0), elsewhere.train(1.0))


def test_a_trial_that_is_let_go_is_told_so_and_the_others_go_on(device, trials, monkeypatch):
    step, slow = Program.step, threading.Event()

    def slowly(program):
        slow.wait(0.02)
        return step(program)

    monkeypatch.setattr(Program, "step", slowly)
    leaving, staying = (trials.cohort(device.cohorts(), lr=lr) for lr in (1e-3, 2e-3))
    with ThreadPoolExecutor(2) as threads:
        gone, stays = threads.submit(leaving.train, 1.0), threads.submit(staying.train, 1.0)
        while device.status().replica_steps < 4:
            time.sleep(0.01)
        leaving.close()
        with pytest.raises(CancelledError):
            gone.result()
        slow.set()
        assert_alike(stays.result(), trials.alone((1.0,), lr=2e-3)[0])
    assert device.status().rows_busy == 0


def test_what_goes_wrong_with_one_trial_is_its_own(device, trials):
    sick = trials.cohort(device.cohorts())
    sick.restore(sick.names[0], {"step": torch.tensor(0)})
    with pytest.raises(ValueError, match="missing"):
        sick.train(1.0)
    assert_alike(trials.cohort(device.cohorts()).train(1.0), trials.alone((1.0,))[0])


def test_a_step_that_raises_is_told_to_all_who_train_there_and_the_device_goes_on(device, trials, monkeypatch):
    step, fail = Program.step, [True]

    def once(program):
        if fail:
            fail.pop()
            raise ArithmeticError("no such number")
        return step(program)

    monkeypatch.setattr(Program, "step", once)
    with pytest.raises(ArithmeticError, match="no such number"):
        trials.cohort(device.cohorts()).train(1.0)
    assert_alike(trials.cohort(device.cohorts()).train(1.0), trials.alone((1.0,))[0])


def test_out_of_memory_trains_fewer_side_by_side_and_loses_no_step(data, trials, monkeypatch):
    device, step = Device(data, slots=4), Program.step
    most = []

    def cramped(program):
        if len(program.seats) > 1:
            raise torch.OutOfMemoryError("too many")
        most.append(len(program.seats))
        return step(program)

    monkeypatch.setattr(Program, "step", cramped)
    try:
        cohort = trials.cohort(device.cohorts())
        found = cohort.train(1.0)
    finally:
        device.close()
    monkeypatch.setattr(Program, "step", step)
    assert_alike(found, trials.alone((1.0,))[0])
    assert set(most) == {1}


def test_one_network_that_does_not_fit_is_refused_in_words(device, trials, monkeypatch):
    def never(program):
        raise torch.OutOfMemoryError("no")

    monkeypatch.setattr(Program, "step", never)
    with pytest.raises(MemoryError, match="one network of pamfn of width 8, K = .* needs about .* GB; take a"):
        trials.cohort(device.cohorts()).train(1.0)


def test_branches_train_on_the_device_as_they_do_alone(device, study, data):
    recipe = study.space.recipe(CONFIG)
    with ThreadPoolExecutor(3) as threads:
        made = list(
            threads.map(
                lambda m: device.cohorts().branches(recipe, m, data.replicas, data.bank, score=True), data.bank.widths
            )
        )
    for modality, (report, states) in zip(data.bank.widths, made, strict=True):
        alone, expected = Cohort.branches(recipe, modality, data.replicas, data.bank, score=True)
        assert report.losses == pytest.approx(alone.losses, abs=TOLERANCE)
        for mine, other in zip(states, expected, strict=True):
            assert mine.keys() == other.keys()
            for name, value in mine.items():
                np.testing.assert_allclose(value, other[name], atol=TOLERANCE, err_msg=name)


def test_a_device_that_is_closed_says_so(data, trials):
    device = Device(data)
    cohort = trials.cohort(device.cohorts())
    device.close()
    device.close()
    with pytest.raises(RuntimeError, match="loop has ended"):
        cohort.train(1.0)


def test_rows_follow_the_memory_that_a_step_took(data, trials, monkeypatch):
    class Greedy:
        """A step that took a tenth of the device for every row."""

        def __init__(self, device):
            self.bytes = 0

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.bytes = 100 * len(device.programs()[0].seats)

    device = Device(data)
    monkeypatch.setattr("tuning.engine.programs.StepMemory", Greedy)
    monkeypatch.setattr("tuning.engine.programs.memory_of", lambda where: (0, 1000))
    monkeypatch.setattr(Program, "row_bytes", 0)
    try:
        trials.cohort(device.cohorts()).train(1.0)
        assert device.status().rows_room == 4 - 2  # four rows fit, two are taken
    finally:
        device.close()


@pytest.mark.parametrize(
    ("rows", "step", "row", "free", "fit"), [(2, 200, 0, 1000, 8), (2, 200, 100, 1000, 5), (4, 900, 1, 500, 1)]
)
def test_how_many_rows_fit(rows, step, row, free, fit):
    assert rows_that_fit(rows, step_bytes=step, row_bytes=row, free=free) == fit


# --- Found by trying to break it ---


def test_a_shape_that_cannot_be_made_is_its_trials_own_trouble(device, trials):
    cohort = trials.cohort(device.cohorts())
    for tenant in cohort._tenants:
        tenant.shape = dataclasses.replace(tenant.shape, key=("odd",), mould=lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cohort.train(1.0)
    assert_alike(trials.cohort(device.cohorts()).train(1.0), trials.alone((1.0,))[0])


def test_a_loop_that_ends_by_itself_tells_everybody_and_its_owner(data, trials, monkeypatch):
    ended = threading.Event()
    device = Device(data, fatal=ended.set)
    monkeypatch.setattr(Programs, "narrow", lambda *_: 1 / 0)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    with pytest.raises((ZeroDivisionError, RuntimeError)):
        trials.cohort(device.cohorts()).train(1.0)
    assert ended.wait(5)
    with pytest.raises(RuntimeError, match="loop has ended"):
        trials.cohort(device.cohorts()).train(1.0)


def test_programs_that_nobody_uses_make_room_for_others(device, trials):
    for size in range(6):
        cohort = trials.cohort(device.cohorts(), feature_dropout=0.1 * size)
        cohort.train(0.2)
        cohort.close()
    assert len(device.programs()) <= 3


def test_a_trial_that_rests_in_a_program_that_fails_is_lost_and_not_begun_anew(device, trials, monkeypatch):
    resting, other = trials.cohort(device.cohorts()), trials.cohort(device.cohorts(), lr=1e-3)
    resting.train(0.3)
    step, fail = Program.step, [True]

    def once(program):
        if fail:
            fail.pop()
            raise ArithmeticError("no such number")
        return step(program)

    monkeypatch.setattr(Program, "step", once)
    with pytest.raises(ArithmeticError):
        other.train(0.6)
    with pytest.raises(RuntimeError, match="failed"):
        resting.states()
    with pytest.raises(RuntimeError, match="failed"):
        resting.train(1.0)


def test_a_row_lost_on_the_way_loses_no_loss(device, trials, monkeypatch):
    step, taken = Program.step, []

    def interrupted(program):
        taken.append(True)
        if len(taken) == 4:
            raise torch.OutOfMemoryError("once")
        return step(program)

    monkeypatch.setattr(Program, "step", interrupted)
    found = trials.cohort(device.cohorts()).train(1.0)
    monkeypatch.setattr(Program, "step", step)
    assert list(found.losses.values()) == pytest.approx(list(trials.alone((1.0,))[0].losses.values()), abs=2e-4)


def test_a_gpu_trains_the_branches_of_all_modalities_at_once(device, study, data, monkeypatch, tmp_path):
    monkeypatch.setattr(Device, "is_gpu", True)
    recipe, alone = study.space.recipe(CONFIG), tmp_path / "alone"
    made = [
        Pretraining(recipe, data.replicas, data.bank, data.contents, BranchStore(str(root)), cohorts)
        for root, cohorts in ((alone, Cohort), (tmp_path / "device", device.cohorts()))
    ]
    (states, scores), (others, same) = (pretraining.branches() for pretraining in made)
    assert [pretraining.trained for pretraining in made] == [6, 6]
    assert device.status().replica_steps > device.status().steps * len(data.replicas)  # modalities side by side
    for modality, mine in states.items():
        assert scores[modality] == pytest.approx(same[modality], abs=0.2)
        for state, other in zip(mine, others[modality], strict=True):
            for name, value in state.items():
                np.testing.assert_allclose(value, other[name], atol=TOLERANCE, err_msg=name)
