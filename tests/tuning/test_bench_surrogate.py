from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pamfn.seeding import generator
from tuning.bench import surrogate as module
from tuning.bench.surrogate import EPOCHS, BenchError, Surrogate
from tuning.domains import FloatDomain, IntDomain
from tuning.region import Region

TASK = "126026"


@pytest.fixture(scope="module")
def folder(shared_data: Callable[[str], Path]) -> Path:
    return shared_data("lcbench")


@pytest.fixture(scope="module")
def surrogate(folder: Path) -> Surrogate:
    return Surrogate(folder)


def test_the_space_is_that_of_lcbench(surrogate: Surrogate) -> None:
    assert len(surrogate.tasks) == 34
    assert surrogate.domains["batch_size"] == IntDomain(type="int", low=16, high=512, log=True)
    assert surrogate.domains["max_dropout"] == FloatDomain(type="float", low=0.0, high=1.0)
    assert len(surrogate.domains) == 7


def test_a_training_costs_more_with_every_epoch_and_its_accuracy_is_in_percent(surrogate: Surrogate) -> None:
    random = generator(3, "configurations")
    configs = [Region(surrogate.domains).draw(random) for _ in range(200)]
    accuracy_NE, seconds_NE = surrogate.curves(TASK, configs)
    assert accuracy_NE.shape == seconds_NE.shape == (200, EPOCHS)
    assert (np.diff(seconds_NE, axis=1) >= 0).all()
    assert (seconds_NE > 0).all()
    assert ((accuracy_NE > 0) & (accuracy_NE <= 100)).all()
    one = surrogate.curve(TASK, configs[7])
    np.testing.assert_allclose(one.accuracy_E, accuracy_NE[7], rtol=1e-4)  # float32; batches sum in another order
    np.testing.assert_allclose(one.seconds_E, seconds_NE[7], rtol=1e-4)


def test_the_scale_of_a_task_comes_from_one_sample(surrogate: Surrogate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLE", 300)
    scale = surrogate.reference(TASK)
    assert scale.worst < scale.median < scale.best <= 100
    assert scale.regret(scale.best) == 0
    assert scale.regret(scale.median) == 1
    assert surrogate.reference(TASK) is scale


def test_it_travels_to_other_processes(surrogate: Surrogate) -> None:
    assert pickle.loads(pickle.dumps(surrogate)).tasks == surrogate.tasks


def test_missing_files_are_named_with_where_they_are_from(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "encoding.json", tmp_path)
    with pytest.raises(BenchError, match=r"model\.onnx, config_space\.json must be there; .*slds-lmu/yahpo_data"):
        Surrogate(tmp_path)


def test_an_unknown_task_is_named_with_a_near_one(surrogate: Surrogate) -> None:
    with pytest.raises(BenchError, match=r"--tasks: 39450 is no task of LCBench; did you mean `3945`\?"):
        surrogate.check(["39450"])
