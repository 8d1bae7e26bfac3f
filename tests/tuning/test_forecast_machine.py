import pytest
import torch

from tuning.forecast import machine as machine_module
from tuning.forecast.machine import Machine, free_bytes, free_disk, this_machine

LAPTOP, SERVER = Machine(8, 10**10), Machine(16, 10**11, ("H100", "H100"), 8 * 10**10)


@pytest.mark.parametrize(
    ("machine", "cpu", "gpu", "trials"),
    [
        (LAPTOP, 1.0, "auto", 8),
        (LAPTOP, 3.0, "auto", 2),
        (LAPTOP, 0.5, 0, 16),
        (LAPTOP, 1.0, 1, 0),
        (LAPTOP, 9.0, "auto", 0),
        (SERVER, 1.0, "auto", 2),
        (SERVER, 1.0, 0.25, 8),
        (SERVER, 4.0, 0.25, 4),
    ],
)
def test_as_many_trials_run_at_once_as_ray_would_place(machine, cpu, gpu, trials):
    assert machine.trials_at_once(cpu, gpu) == trials


def test_this_machine_has_a_processor_and_some_memory():
    here = this_machine()
    assert here.cpus >= 1
    assert here.free > 10**7


def test_the_limit_of_a_container_counts(tmp_path, monkeypatch):
    for name, value in (("LIMIT", "3000000"), ("USED", "1000000")):
        (tmp_path / name).write_text(value)
        monkeypatch.setattr(machine_module, name, tmp_path / name)
    assert free_bytes(torch.device("cpu")) == 2_000_000
    (tmp_path / "LIMIT").write_text("max")
    assert free_bytes(torch.device("cpu")) > 2_000_000


def test_memory_is_known_where_the_system_says_less(tmp_path, monkeypatch):
    monkeypatch.setattr(machine_module, "MEMINFO", tmp_path / "absent")
    assert free_bytes(torch.device("cpu")) > 10**7


def test_the_room_of_a_folder_that_is_yet_to_be_made_is_that_around_it(tmp_path):
    assert free_disk(str(tmp_path / "studies" / "mine")) == pytest.approx(free_disk(str(tmp_path)), rel=0.2)
    assert free_disk("s3://bucket/studies") is None
