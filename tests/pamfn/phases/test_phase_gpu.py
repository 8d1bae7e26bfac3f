"""The same trainings on a GPU: as on the CPU within float32's rounding, and resumed as if never interrupted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from phase_cases import planted, replica, settings_of, training_of

from pamfn.data.bank import Bank

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
FEATURES = planted()
REPLICAS = [replica(FEATURES, 9), replica(FEATURES, 10, first=9, seed=2)]
CLOSE = 2e-3  # as for a replica alone and in company: other kernels, and an optimiser that divides by rounding


@pytest.mark.parametrize("phase", ["phase1", "phase2", "one"])
def test_a_gpu_trains_as_a_cpu_does(phase: str) -> None:
    trainings = [training_of(phase, settings_of(phase), REPLICAS, Bank.of(FEATURES, d)) for d in ("cpu", "cuda")]
    reports = [list(training.run([0.5, 1.0])) for training in trainings]
    for cpu, gpu in zip(*reports, strict=True):
        assert gpu.losses == pytest.approx(cpu.losses, abs=CLOSE)
    for cpu, gpu in zip(*(training.predict() for training in trainings), strict=True):
        np.testing.assert_allclose(gpu, cpu, atol=CLOSE)


@pytest.mark.parametrize("phase", ["phase1", "phase2", "one"])
def test_interrupted_and_resumed_on_a_gpu_is_the_same(phase: str) -> None:
    bank = Bank.of(FEATURES, "cuda")
    whole, first, resumed = (training_of(phase, settings_of(phase), REPLICAS, bank) for _ in range(3))
    list(whole.run([0.5, 1.0]))
    list(first.run([0.5]))
    for i in range(len(REPLICAS)):
        resumed.restore(i, first.state(i))
    list(resumed.run([1.0]))
    for one, other in zip(whole.predict(), resumed.predict(), strict=True):
        np.testing.assert_allclose(one, other, atol=CLOSE)
